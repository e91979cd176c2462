"""The task that this thread runs, if it is a worker."""

from __future__ import annotations

import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .current_task import CurrentTask
    from .generators import Generators

_here = threading.local()


# What a thread knows of the task that it runs.
Running = tuple["Callable[[], CurrentTask] | None", "Generators | None"]


def begin(describe: Callable[[], CurrentTask]) -> Running:
    """Set what describes the task that this thread runs now; return what `end` restores.

    There is something to restore if a task runs a map in its own thread.
    """
    outer = get_describe(), get_generators()
    _here.describe, _here.generators = describe, None
    return outer


def end(outer: Running) -> None:
    """Learn that the thread has run its tasks."""
    _here.describe, _here.generators = outer


def get_describe() -> Callable[[], CurrentTask] | None:
    """Return what describes the task that this thread runs; None if it runs none."""
    return getattr(_here, "describe", None)


def set_generators(generators: Generators) -> None:
    """Set the random number generators of the task that this thread runs."""
    _here.generators = generators


def get_generators() -> Generators | None:
    """Return the generators of the task that this thread runs; None if its map has no seed."""
    return getattr(_here, "generators", None)
