"""Clusters for tests: real ones, whose workers are processes."""

from __future__ import annotations

import logging
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


def await_all_workers(client: distributed.Client) -> None:
    """Wait until a cluster has both its workers again.

    A nanny that ends while it restarts its worker is not replaced until the cluster is scaled.
    """
    asked = time.monotonic()

    def are_there() -> bool:
        nonlocal asked
        if len(client.scheduler_info()["workers"]) == 2:
            return True
        if time.monotonic() > asked + _REPAIR_INTERVAL:
            asked = time.monotonic()
            client.cluster.scale(2)
        return False

    wait_until(are_there)
