"""Clusters: the same map in the workers of a Dask cluster, and of Ray, on this machine."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any

from metainformant.core import parallel

from ..harness.workload import Contender, Group, Workload
from ..peers import ours
from ..peers.clusters import CLUSTERS
from ..peers.rays import RAYS
from ..peers.table import library, peers
from ..tasks import array_of, nap_longer, same, size_of

_WORKERS = 2
_NEEDS = "cluster_map"
_MANY = 100_000
_NAPS = 2_000
_NAP_SECONDS = 0.005
_ARRAYS = 100
_ARRAY_BYTES = 8 * 2**20
_STORE_BYTES = 3 * 2**30  # more than all arrays: results are views of it


def _cluster(stack: ExitStack) -> Any:
    distributed = library("distributed")
    cluster = distributed.LocalCluster(
        n_workers=_WORKERS, threads_per_worker=1, dashboard_address=":0", silence_logs=50
    )
    return stack.enter_context(distributed.Client(stack.enter_context(cluster)))


def _on_cluster(func: Callable[[Any], Any], count: int, stack: ExitStack) -> list[Contender]:
    client = _cluster(stack)
    items = list(range(count))

    def probe(share: int) -> tuple[object, ...]:
        return func, items[::share], client

    return [
        ours.ours(partial(parallel.cluster_map, func, items, client)),
        *peers(CLUSTERS, func, items, client, probe=probe),
    ]


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
            partial(_on_cluster, same, _MANY),
            rounds=3,
            seconds=30,
            needs=_NEEDS,
        ),
        Workload(
            "cluster-sleeps",
            f"Sleep 5 ms, {_NAPS:,} items, {_WORKERS} workers of a Dask cluster",
            partial(_on_cluster, nap_longer, _NAPS),
            rounds=3,
            seconds=120,
            limit="sleeping alone",
            ideal=_NAPS * _NAP_SECONDS / _WORKERS,
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
