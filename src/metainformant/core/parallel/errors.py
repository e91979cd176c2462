"""The exceptions that a map puts into slots or raises.

Every class survives pickling with all its fields and notes. That takes care for
`TaskTimeoutError`: it is an `OSError` too (by way of `TimeoutError`), and `OSError` rebuilds
itself from `args` alone, so each class here says itself how it is rebuilt.
"""

from __future__ import annotations

import time

from .public import public

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# One stack entry: file name, line number, function name. Source lines are looked up only when a
# stack is read, because most stacks of an overnight run are never looked at.
Frame = tuple[str, int, str]

# Seconds within which a call that is overdue ends, if it can be ended.
_ENDING_SECONDS = 1.0

# Raised by a task, these end the whole map, whatever `on_error` says.
FATAL = (KeyboardInterrupt, SystemExit)


@public
class ParallelError(Exception):
    """Base class of all errors of this package.

    Attributes:
        results: if a map that returns a list was stopped as a whole, the list so far, with a
            `TaskCancelledError` for each item that was not finished. None otherwise.
    """

    results: list[Any] | None = None


@public
class TaskTimeoutError(ParallelError, TimeoutError):
    """A task ran longer than `timeout`.

    A task's own `TimeoutError` is never turned into this class, so the two are distinct.

    Attributes:
        index: position of the item in the input (of the batch, for `parallel_batch`), from 0.
        item: the item as text, shortened.
        seconds: the limit that was passed, in seconds.
        worker: name of the worker that ran the task.
        stack: where the task was when it was abandoned, formatted like a traceback.
        running: whether the call still runs; a copy made by pickle tells how it was then. The text
            tells what is known when it is made, since a call may take a moment to end.
        returned_after: in serial mode, the seconds after which the call returned; otherwise None.
    """

    returned_after: float | None = None

    def __init__(
        self,
        index: int,
        item: str,
        seconds: float,
        worker: str,
        frames: tuple[Frame, ...] = (),
        is_running: Callable[[], bool] | None = None,
        remarks: tuple[str, str] = ("", ""),
    ) -> None:
        super().__init__(f"item {index} ({item}) ran longer than timeout={seconds:g} s")
        self.index = index
        self.item = item
        self.seconds = seconds
        self.worker = worker
        self._frames = frames
        self._is_running = is_running or _no
        self._remarks = remarks  # what kept it, and what to know if it runs on
        self._made = time.monotonic()

    @property
    def running(self) -> bool:
        return self._is_running()

    @property
    def stack(self) -> str:
        return format_stack(self._frames)

    def __str__(self) -> str:
        what_kept_it, what_if_it_runs = self._remarks
        if self.returned_after is not None:
            state = (
                f"The call returned after {self.returned_after:.3g} s: in serial mode, that is "
                "when a timeout is noted."
            )
        elif not self.running:
            state = "The call was ended."
        elif what_if_it_runs:
            state = f"The call on {self.worker!r} has not ended yet. {what_if_it_runs}"
        elif time.monotonic() < self._made + _ENDING_SECONDS:
            state = (
                f"The call on {self.worker!r} is being ended; what is blocked in a thread cannot "
                "be. Raise timeout, or give the call a limit of its own (a socket timeout, say)."
            )
        else:
            state = (
                f"The call still runs on {self.worker!r}: Python cannot stop a thread. "
                "Raise timeout, or give the call a limit of its own (a socket timeout, say)."
            )
        return " ".join(filter(None, (f"{self.args[0]}.", what_kept_it, state)))

    def __reduce__(self) -> tuple[Any, ...]:
        is_running = _yes if self.running else _no
        fields = (self.index, self.item, self.seconds, self.worker, self._frames, is_running)
        return type(self), fields, {**self.__dict__, "_is_running": is_running}


def _yes() -> bool:
    return True


def _no() -> bool:
    return False


def format_stack(frames: tuple[Frame, ...]) -> str:
    """Format the frames like a traceback, innermost call last."""
    import traceback  # slow to import, and needed only by those who look

    stack = [traceback.FrameSummary(file, line, name) for file, line, name in frames]
    return "".join(traceback.StackSummary.from_list(stack).format())


@public
class TaskCancelledError(ParallelError):
    """A task was not finished when its map was stopped.

    Attributes:
        index: position of the item in the input (of the batch, for `parallel_batch`), from 0.
        item: the item as text, shortened.
        reason: why the map was stopped.
        started: whether the task had been started.
        waiting: whether it had failed before, and was waiting for another attempt.
    """

    def __init__(
        self, index: int, item: str, reason: str, started: bool, waiting: bool = False
    ) -> None:
        state = "was still running" if started else "had not started"
        if waiting:
            state = "was waiting for another attempt"
        super().__init__(f"item {index} ({item}) {state} when the map was stopped: {reason}.")
        self.index = index
        self.item = item
        self.reason = reason
        self.started = started
        self.waiting = waiting

    def __reduce__(self) -> tuple[Any, ...]:
        fields = (self.index, self.item, self.reason, self.started, self.waiting)
        return type(self), fields, self.__dict__


@public
class WorkerDiedError(ParallelError):
    """A worker ended while it ran a task: it crashed, exited, or was killed.

    Attributes:
        index: position of the item in the input (of the batch, for `parallel_batch`), from 0.
        item: the item as text, shortened.
        worker: name of the worker.
        pid: its process id.
        fate: how it ended, in words: "was killed by SIGSEGV", "exited with status 1".
        may_have_run: whether the task may have had effects. That is so for every item that is
            lost: of items that certainly were not started, none is.
        is_certain: whether the task is known to have been running. With a cluster it is not: what
            a worker did in its last tenth of a second is not known.
    """

    may_have_run = True

    def __init__(
        self, index: int, item: str, worker: str, pid: int, fate: str, is_certain: bool = True
    ) -> None:
        scope = (
            "No other item is affected."
            if is_certain
            else "It may have been run or not; all that the worker had reported is kept."
        )
        super().__init__(
            f"item {index} ({item}) was lost: its worker {worker!r} (pid {pid}) {fate}. "
            f"{scope} Pass retries=1 to run it again."
        )
        self.index = index
        self.item = item
        self.worker = worker
        self.pid = pid
        self.fate = fate
        self.is_certain = is_certain

    def __reduce__(self) -> tuple[Any, ...]:
        fields = (self.index, self.item, self.worker, self.pid, self.fate, self.is_certain)
        return type(self), fields, self.__dict__


@public
class TooManyFailuresError(ParallelError):
    """More items failed than `max_failures` allows.

    Attributes:
        failures: how many items had failed.
        finished: how many were finished, the failed ones among them.
        limit: the `max_failures` that was passed.
        results: see `ParallelError`.
    """

    def __init__(self, failures: int, finished: int, limit: float) -> None:
        super().__init__(
            f"{failures} of {finished} finished items failed, more than max_failures={limit:g}. "
            "Look at these failures; raise max_failures if they are to be expected."
        )
        self.failures = failures
        self.finished = finished
        self.limit = limit

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.failures, self.finished, self.limit), self.__dict__
