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
    environment = dict(os.environ)  # Ray adds to it, such as a debugger of its own
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
    own = _children() - before
    try:
        yield
    finally:
        ray.shutdown()
        _restore(environment)
        wait_until(lambda: not own & _children())


def _restore(environment: dict[str, str]) -> None:
    for name in os.environ.keys() - environment.keys():
        del os.environ[name]
    os.environ.update(environment)


def _children() -> set[int]:
    """Return the process ids of all children of this process."""
    with open(f"/proc/self/task/{os.getpid()}/children") as file:
        return set(map(int, file.read().split()))
