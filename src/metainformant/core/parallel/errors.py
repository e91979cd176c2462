"""The exceptions that a map puts into slots or raises.

Every class survives pickling with all its fields and notes. That takes care for
`TaskTimeoutError`: it is an `OSError` too (by way of `TimeoutError`), and `OSError` rebuilds
itself from `args` alone, so each class here says itself how it is rebuilt.
"""

from __future__ import annotations

from typing import Any

# One stack entry: file name, line number, function name. Source lines are looked up only when a
# stack is read, because most stacks of an overnight run are never looked at.
Frame = tuple[str, int, str]

# Raised by a task, these end the whole map, whatever `on_error` says.
FATAL = (KeyboardInterrupt, SystemExit)


class ParallelError(Exception):
    """Base class of all errors of this package."""


class TaskTimeoutError(ParallelError, TimeoutError):
    """A task ran longer than `timeout`.

    A task's own `TimeoutError` is never turned into this class, so the two can be told apart.

    Attributes:
        index: position of the item in the input, counted from 0.
        item: the item as text, shortened.
        seconds: the limit that was passed, in seconds.
        worker: name of the worker that ran the task.
        stack: where the task was when it was given up, formatted like a traceback.
    """

    def __init__(
        self, index: int, item: str, seconds: float, worker: str, frames: tuple[Frame, ...] = ()
    ) -> None:
        super().__init__(
            f"item {index} ({item}) ran longer than timeout={seconds:g} s. "
            f"The call still runs on {worker!r}: Python cannot stop a thread. "
            "Raise timeout, or give the call a limit of its own (a socket timeout, say)."
        )
        self.index = index
        self.item = item
        self.seconds = seconds
        self.worker = worker
        self._frames = frames

    @property
    def stack(self) -> str:
        """Where the task was when it was given up, innermost call last; empty if unknown."""
        import traceback  # slow to import, and needed only by those who look

        return "".join(
            traceback.StackSummary.from_list(
                [traceback.FrameSummary(file, line, name) for file, line, name in self._frames]
            ).format()
        )

    def __reduce__(self) -> tuple[Any, ...]:
        fields = (self.index, self.item, self.seconds, self.worker, self._frames)
        return type(self), fields, self.__dict__


class TaskCancelledError(ParallelError):
    """A task was not finished when its map was stopped.

    Attributes:
        index: position of the item in the input, counted from 0.
        item: the item as text, shortened.
        reason: why the map was stopped.
        started: whether the task had been started.
    """

    def __init__(self, index: int, item: str, reason: str, started: bool) -> None:
        state = "was still running" if started else "had not started"
        super().__init__(f"item {index} ({item}) {state} when the map was stopped: {reason}.")
        self.index = index
        self.item = item
        self.reason = reason
        self.started = started

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.index, self.item, self.reason, self.started), self.__dict__
