"""The task that this thread runs, if it is a worker."""

from __future__ import annotations

import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .current_task import CurrentTask
    from .generators import Generators

_here = threading.local()


def set_describe(describe: Callable[[], CurrentTask] | None) -> None:
    """Set what describes the task that this thread runs now; None if it runs none."""
    _here.describe = describe
    _here.generators = None


def get_describe() -> Callable[[], CurrentTask] | None:
    """Return what describes the task that this thread runs; None if it runs none."""
    return getattr(_here, "describe", None)


def set_generators(generators: Generators) -> None:
    """Set the random number generators of the task that this thread runs."""
    _here.generators = generators


def get_generators() -> Generators | None:
    """Return the generators of the task that this thread runs; None if its map has no seed."""
    return getattr(_here, "generators", None)
