"""A Ray for tests: a real one, whose workers are processes."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import ray

from tests.support import ROOT, wait_until


@contextmanager
def running_ray() -> Iterator[None]:
    """Connect this process to a Ray of two processors; leave no process of it behind."""
    os.environ.setdefault("RAY_AUTH_MODE", "disabled")  # else it writes a token
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    before = _children()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those of its own
        ray.init(
            num_cpus=2,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
            object_store_memory=100 * 2**20,
            runtime_env={"env_vars": {"PYTHONPATH": paths}},
        )
    try:
        yield
    finally:
        ray.shutdown()
        wait_until(lambda: _children() <= before)


def _children() -> set[int]:
    """Return the process ids of all children of this process."""
    with open(f"/proc/self/task/{os.getpid()}/children") as file:
        return set(map(int, file.read().split()))
