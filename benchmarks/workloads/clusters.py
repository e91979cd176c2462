"""Clusters: the same map in the workers of a Dask cluster on this machine."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any

from metainformant.core import parallel

from ..harness.workload import Contender, Group, Workload
from ..peers import ours
from ..peers.clusters import CLUSTERS
from ..peers.table import library, peers
from ..tasks import nap_longer, same

_WORKERS = 2
_NEEDS = "cluster_map"
_MANY = 100_000
_NAPS = 2_000
_NAP_SECONDS = 0.005


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
    ],
    "A scheduler and two worker processes with one thread each run on this machine. joblib's "
    "backend sends batches, `client.map` a task for each item; neither has timeouts for items.",
)
