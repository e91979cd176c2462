"""Clusters for tests: real ones, whose workers are processes."""

from __future__ import annotations

import asyncio
import logging
import pickle
import time
from typing import Any

import distributed

from tests.support import wait_until

# Seconds between two attempts to get back a worker that has ended.
_REPAIR_INTERVAL = 1.0


def make_cluster(**options: Any) -> distributed.LocalCluster:
    """Start a scheduler in this process, and two worker processes with a thread each."""
    chosen = {"n_workers": 2, "threads_per_worker": 1, "processes": True, **options}
    levels = [(handler, handler.level) for handler in logging.root.handlers]
    # Any port: with None it is the same for all clusters of the machine.
    cluster = distributed.LocalCluster(dashboard_address=":0", silence_logs=50, **chosen)
    for handler, level in levels:  # which `silence_logs` has changed, those of pytest too
        handler.setLevel(level)
    return cluster


def await_all_workers(client: distributed.Client, count: int = 2) -> None:
    """Wait until a cluster has all its workers again.

    A nanny that ends while it restarts its worker is not replaced until the cluster is scaled.
    """
    asked = time.monotonic()

    def are_there() -> bool:
        nonlocal asked
        if len(client.cluster.scheduler.workers) == count:  # asking would keep it busy
            return True
        if time.monotonic() > asked + _REPAIR_INTERVAL:
            asked = time.monotonic()
            client.cluster.scale(count)
        return False

    wait_until(are_there)


def leave(nanny: distributed.Nanny) -> None:
    """Let a worker end as it does when its lifetime is over, and wait until it has."""
    pid = nanny.pid
    start_to_leave(nanny)
    wait_until(lambda: nanny.pid != pid)


def start_to_leave(nanny: distributed.Nanny) -> None:
    """Let a worker end as it does when its lifetime is over; its nanny starts another."""
    loop = nanny.loop.asyncio_loop
    asyncio.run_coroutine_threadsafe(_close_gracefully(nanny), loop).result()


async def _close_gracefully(nanny: distributed.Nanny) -> None:
    await nanny.rpc(nanny.worker_address).run(function=pickle.dumps(_close_soon), wait=False)


async def _close_soon(dask_worker: distributed.Worker) -> None:
    await dask_worker.close_gracefully(restart=True)
