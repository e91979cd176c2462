"""A chunk that was handed to an executor, of which nothing can be seen before it has ended."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from time import monotonic
from typing import Any

from ...engine.backend import Finished
from ...errors import Frame


class ExecutorJob:
    """A chunk that was handed to an executor. Owned by the engine's thread.

    Args:
        place: what the worker is called until it has told its name.
        tells_running: whether the executor's futures are known to tell whether they run. Of others
            a chunk counts as begun once it is handed over: their `cancel()` may succeed although a
            worker has the chunk, and then its items would run twice.
        again: told that the job is to be handed over once more.
    """

    def __init__(
        self,
        items: list[Any],
        first: int,
        attempt: int,
        place: str,
        again: Callable[[ExecutorJob], None],
        *,
        tells_running: bool,
    ) -> None:
        self.items = items
        self.first = first
        self.attempt = attempt
        self.future: Future[Any] | None = None  # once it is handed over
        self.went_by_value: bool = False  # what it has of `__main__`, for certain
        self.is_ended: bool = False
        self.is_abandoned: bool = False
        self.ended: float = 0.0
        self.worker: str = ""  # at first the kind of executor, in the end the worker
        self._place = place
        self._tells_running = tells_running
        self._again = again
        self._finished = Finished([], {})
        self._started: float | None = None

    @property
    def started(self) -> float | None:
        """The time when it was first seen running; once it has ended, that of its true start."""
        if self._started is None and self.is_running():
            self._started, self.worker = monotonic(), self._place
        return self._started

    def will_expire(self, position: int, at: float) -> None:
        pass  # the watch on the far side tells the task

    def completed(self) -> int:
        return len(self._finished.values)

    def truncate(self, keep: int) -> int:
        future = self.future
        if self.is_ended:
            return keep if self.completed() < keep else self.completed() + 1
        if future is not None:
            if not self._tells_running or not future.cancel():
                return len(self.items)
            self.future = None
            self._again(self)
        del self.items[keep:]
        return keep

    def peek(self, stop: int) -> Finished:
        return self._finished  # before the end, of which nothing can be seen, it is empty

    def finish(self) -> Finished:
        return self._finished

    def abandon(self) -> bool:
        if not self.is_ended:
            self.is_abandoned = True
        return self.is_abandoned

    def interrupt(self) -> None:
        pass

    def is_running(self) -> bool:
        """Return whether a worker may have the chunk."""
        return self.future is not None and (not self._tells_running or self.future.running())

    def remarks(self) -> tuple[str, str]:
        return "", ""

    def stack(self) -> tuple[Frame, ...]:
        return ()

    def end(self, finished: Finished, worker: str = "", seconds: float = 0.0) -> None:
        self.is_ended = True
        self.future = None
        self.ended = monotonic()
        self._started = self.ended - seconds
        self.worker = worker
        times = [self._started + time for time in finished.times]
        self._finished = Finished(finished.values, finished.failed, times)
