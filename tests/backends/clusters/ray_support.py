"""A Ray for tests: a real one, whose workers are processes."""

from __future__ import annotations

import gc
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import ray

from tests.support import ROOT, wait_until


@contextmanager
def running_ray() -> Iterator[None]:
    """Connect this process to a Ray of two processors; leave no process of it behind."""
    environment = dict(os.environ)  # Ray adds to it, such as a debugger of its own
    os.environ.setdefault("RAY_AUTH_MODE", "disabled")  # else it writes a token
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    before = _children()
    with _ignored_warnings():
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
        with _ignored_warnings():
            ray.shutdown()
            _restore(environment)
            wait_until(lambda: not own & _children())


@contextmanager
def _ignored_warnings() -> Iterator[None]:
    """Ignore warnings of Ray, and those of what it has forgotten.

    Ray 2.50 leaves files open, and does not wait for a process that it has ended.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
        gc.collect()


def _restore(environment: dict[str, str]) -> None:
    for name in os.environ.keys() - environment.keys():
        del os.environ[name]
    os.environ.update(environment)


def _children() -> set[int]:
    """Return the process ids of the children of this process that have not ended."""
    with open(f"/proc/self/task/{os.getpid()}/children") as file:
        return {pid for pid in map(int, file.read().split()) if _is_running(pid)}


def _is_running(pid: int) -> bool:
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]
    except OSError:
        return False
    return after_name.split()[0] != "Z"  # a zombie, which nobody has waited for
