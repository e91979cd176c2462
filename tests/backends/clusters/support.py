"""Clusters for tests: real ones, whose workers are processes."""

from __future__ import annotations

import logging
from typing import Any

import distributed


def make_cluster(**options: Any) -> distributed.LocalCluster:
    """Start a scheduler in this process, and two worker processes with a thread each."""
    chosen = {"n_workers": 2, "threads_per_worker": 1, "processes": True, **options}
    levels = [(handler, handler.level) for handler in logging.root.handlers]
    # Any port: with None it is the same for all clusters of the machine.
    cluster = distributed.LocalCluster(dashboard_address=":0", silence_logs=50, **chosen)
    for handler, level in levels:  # which `silence_logs` has changed, those of pytest too
        handler.setLevel(level)
    return cluster
