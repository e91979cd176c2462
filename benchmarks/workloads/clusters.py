"""Clusters: the same map in the workers of a Dask cluster, and of Ray, on this machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from contextlib import ExitStack
from functools import partial
from itertools import count, repeat
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from metainformant.core import parallel

from ..harness.workload import Contender, Group, Workload
from ..peers import ours
from ..peers.clusters import CLUSTERS
from ..peers.rays import RAYS
from ..peers.table import library, peers
from ..tasks import array_of, ended_at, nap_20, nap_longer, note_start, same, size_of

_WORKERS = 2
_NEEDS = "cluster_map"
_MANY = 100_000
_NAPS = 2_000
_NAP_SECONDS = 0.005
_ARRAYS = 100
_ARRAY_BYTES = 8 * 2**20
_THREAD_NAPS = 4_000
_ENDLESS = 1_000_000
_MAPS = ["joblib, Dask", "client.map, Dask"]
_STORE_BYTES = 3 * 2**30  # more than all arrays: results are views of it


def _cluster(stack: ExitStack, workers: int = _WORKERS, threads: int = 1) -> Any:
    distributed = library("distributed")
    cluster = distributed.LocalCluster(
        n_workers=workers, threads_per_worker=threads, dashboard_address=":0", silence_logs=50
    )
    return stack.enter_context(distributed.Client(stack.enter_context(cluster)))


def _on_dask(
    func: Callable[[Any], Any],
    make_items: Callable[[], list[Any]],
    those: Collection[str],
    stack: ExitStack,
    shape: tuple[int, int] = (_WORKERS, 1),
) -> list[Contender]:
    """Maps in a cluster of so many workers with so many threads."""
    client = _cluster(stack, *shape)
    items = make_items()

    def probe(share: int) -> tuple[object, ...]:
        return func, items[::share], client

    seats = shape[0] * shape[1]
    return [
        ours.ours(partial(parallel.cluster_map, func, items, client, seats)),
        *peers(CLUSTERS, func, items, client, probe=probe, only=those),
    ]


def _first_result(stack: ExitStack) -> list[Contender]:
    client = _cluster(stack)

    def wait() -> float:
        with parallel.imap(ended_at, range(1000), backend=client, on_error="raise") as results:
            ended = next(results)
            return time.monotonic() - ended

    return [ours.ours(wait)]


def _stop(stack: ExitStack) -> list[Contender]:
    client = _cluster(stack)
    folder = Path(stack.enter_context(TemporaryDirectory()))
    rounds = count()

    def last_start() -> float:
        path = folder / str(next(rounds))
        with parallel.imap(note_start, repeat(str(path)), backend=client) as results:
            for _ in range(200):
                next(results)
        left = time.monotonic()
        time.sleep(0.5)
        return max(0.0, float(path.read_text().split()[-1]) - left)

    return [ours.ours(last_start)]


def _memory(stack: ExitStack) -> list[Contender]:
    client = _cluster(stack)

    def grown() -> float:
        with parallel.imap(same, range(_ENDLESS), backend=client, on_error="raise") as results:
            sizes = [_resident() for number in results if number % (_ENDLESS // 20) == 0]
        return max(0.0, max(sizes) - sizes[4])  # what it takes to get going is not counted

    return [ours.ours(grown)]


def _resident() -> float:
    """The memory of this process, in which the scheduler is too, in MiB."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def _on_ray(
    func: Callable[[Any], Any],
    make_items: Callable[[], list[Any]],
    peer: str,
    stack: ExitStack,
) -> list[Contender]:
    ray = library("ray")
    stack.callback(ray.shutdown)
    ray.init(
        num_cpus=2 * _WORKERS,  # our pool holds its part all the time, and peers need theirs
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
        object_store_memory=_STORE_BYTES,
    )
    items = make_items()
    theirs = library("ray.util.multiprocessing").Pool(_WORKERS)
    stack.callback(theirs.terminate)
    pool = stack.enter_context(parallel.Pool("ray", _WORKERS))
    return [
        ours.ours(partial(pool.map, func, items)),
        *peers(RAYS, func, items, theirs, only=(peer,)),
    ]


def _arrays() -> list[Any]:
    numpy = library("numpy")
    return [numpy.full(_ARRAY_BYTES // 8, float(number)) for number in range(_ARRAYS)]


GROUP = Group(
    "clusters",
    "Clusters",
    [
        Workload(
            "cluster-tiny",
            f"No-op, {_MANY:,} items, {_WORKERS} workers of a Dask cluster",
            partial(_on_dask, same, partial(list, range(_MANY)), _MAPS),
            rounds=3,
            seconds=30,
            needs=_NEEDS,
        ),
        Workload(
            "cluster-sleeps",
            f"Sleep 5 ms, {_NAPS:,} items, {_WORKERS} workers of a Dask cluster",
            partial(_on_dask, nap_longer, partial(list, range(_NAPS)), _MAPS),
            rounds=3,
            seconds=120,
            limit="sleeping alone",
            ideal=_NAPS * _NAP_SECONDS / _WORKERS,
            needs=_NEEDS,
        ),
        Workload(
            "cluster-arrays-in",
            f"{_ARRAYS} arrays of 8 MiB to {_WORKERS} workers of a Dask cluster",
            partial(_on_dask, size_of, _arrays, ["client.submit window"]),
            rounds=3,
            seconds=60,
            needs=_NEEDS,
        ),
        Workload(
            "cluster-arrays-out",
            f"{_ARRAYS} arrays of 8 MiB from {_WORKERS} workers of a Dask cluster",
            partial(_on_dask, array_of, partial(list, range(_ARRAYS)), ["client.map, Dask"]),
            rounds=3,
            seconds=60,
            needs=_NEEDS,
        ),
        Workload(
            "cluster-threads",
            f"Sleep 20 ms, {_THREAD_NAPS:,} items, 4 workers of a Dask cluster with 8 threads each",
            partial(
                _on_dask,
                nap_20,
                partial(list, range(_THREAD_NAPS)),
                ["client.map, Dask"],
                shape=(4, 8),
            ),
            rounds=3,
            seconds=60,
            limit="sleeping alone",
            ideal=_THREAD_NAPS * 0.02 / 32,
            needs=_NEEDS,
        ),
        Workload(
            "cluster-first",
            "From the end of the first of 1,000 tasks of 20 ms to the first result of a stream",
            _first_result,
            rounds=5,
            own=True,
            needs=_NEEDS,
        ),
        Workload(
            "cluster-stop",
            "From leaving a stream to the last start of a task of 5 ms",
            _stop,
            rounds=5,
            own=True,
            note="0 s says that none was started after the stream was left.",
            needs=_NEEDS,
        ),
        Workload(
            "cluster-memory",
            f"Growth of caller and scheduler over a stream of {_ENDLESS:,} items, after a quarter",
            _memory,
            rounds=1,
            seconds=60,
            unit="MiB",
            own=True,
            needs=_NEEDS,
        ),
        Workload(
            "ray-tiny",
            f"No-op, {_MANY:,} items, {_WORKERS} workers of Ray",
            partial(_on_ray, same, partial(list, range(_MANY)), "ray.util Pool.map"),
            rounds=3,
            seconds=30,
            needs=_NEEDS,
        ),
        Workload(
            "ray-sleeps",
            f"Sleep 5 ms, {_NAPS:,} items, {_WORKERS} workers of Ray",
            partial(_on_ray, nap_longer, partial(list, range(_NAPS)), "ray.util Pool.map"),
            rounds=3,
            seconds=60,
            limit="sleeping alone",
            ideal=_NAPS * _NAP_SECONDS / _WORKERS,
            needs=_NEEDS,
        ),
        Workload(
            "ray-arrays-in",
            f"{_ARRAYS} arrays of 8 MiB to {_WORKERS} workers of Ray",
            partial(_on_ray, size_of, _arrays, "ray.wait window"),
            rounds=3,
            seconds=60,
            needs=_NEEDS,
        ),
        Workload(
            "ray-arrays-out",
            f"{_ARRAYS} arrays of 8 MiB from {_WORKERS} workers of Ray",
            partial(_on_ray, array_of, partial(list, range(_ARRAYS)), "ray.wait window"),
            rounds=3,
            seconds=60,
            needs=_NEEDS,
        ),
    ],
    "A scheduler and two worker processes with one thread each run on this machine. joblib's "
    "backend sends batches, `client.map` a task for each item; neither has timeouts for items. "
    "With Ray, the actors are kept from round to round by a pool, as those of its own pool are.",
)
