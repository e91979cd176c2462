"""The task that runs here, if this is a worker.

It is kept in a context variable: so many coroutines may run in one thread, each with a task of its
own, and the innermost of nested maps is the one that is found.
"""

from __future__ import annotations

from contextvars import ContextVar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Token

    from .current_task import CurrentTask
    from .generators import Generators


class Running:
    """The knowledge that a worker has of the task that it runs.

    A copy of its context, which a library may keep for long, keeps this, and nothing that the map
    has made.

    Attributes:
        describe: describes the task; None once the worker has run it.
        generators: its generators of random numbers; None if the map has no seed.
    """

    __slots__ = ("describe", "generators")

    def __init__(self, describe: Callable[[], CurrentTask]) -> None:
        self.describe: Callable[[], CurrentTask] | None = describe
        self.generators: Generators | None = None


_running: ContextVar[Running | None] = ContextVar("metainformant.parallel.running", default=None)


def begin(describe: Callable[[], CurrentTask]) -> Token[Running | None]:
    """Set what describes the tasks that run here from now on; return what `end` restores.

    There is something to restore if a task runs a map in its own thread.
    """
    return _running.set(Running(describe))


def end(outer: Token[Running | None]) -> None:
    """Learn that the worker has run its tasks."""
    running = _running.get()
    if running is not None:
        running.describe = running.generators = None
    _running.reset(outer)


def get_describe() -> Callable[[], CurrentTask] | None:
    """Return what describes the task that runs here; None if there is none."""
    running = _running.get()
    return None if running is None else running.describe


def set_generators(generators: Generators) -> None:
    """Set the random number generators of the task that runs here."""
    running = _running.get()
    if running is not None:
        running.generators = generators


def get_generators() -> Generators | None:
    """Return the generators of the task that runs here; None if its map has no seed."""
    running = _running.get()
    return None if running is None else running.generators
