"""A chunk that a worker in another process or interpreter runs, seen from the engine's side."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from time import monotonic
from typing import Any

from ...engine.backend import Finished
from ...errors import Frame
from .boundary import Boundary
from .job_results import JobResults
from .job_state import JobState
from .result_buffer import Header

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from ...host.usage import Usage
    from .handle import WorkerHandle

    class JobOwner(Protocol):
        """The group of workers that runs a job."""

        def worker_abandoned(self, handle: WorkerHandle) -> None:
            """Learn that the job was abandoned which this worker has."""

        def receive_pending(self, handle: WorkerHandle) -> None:
            """Take all messages that this worker has sent. It may end the job."""

        def stack(self, handle: WorkerHandle) -> tuple[Frame, ...]:
            """Return where this worker is. It may wait a little."""
            ...


# A worker that is so many items away from a cut can't have got there unseen.
_SAFE_DISTANCE_ITEMS = 1000


class IsolatedJob:
    """A job of the engine. Owned by the engine's thread.

    Attributes:
        worker: name of the worker that runs it, or has run it; empty before.
        handle: the worker that has it now.
        sent: how many of its items were sent. The worker may have had no room for more.
        one_by_one: whether its items are sealed, each on its own.
    """

    def __init__(
        self,
        items: list[Any],
        first: int,
        attempt: int,
        number: int,
        owner: JobOwner,
        *,
        timed: bool,
    ) -> None:
        self.items: list[Any] = items
        self.first = first
        self.attempt = attempt
        self.number = number
        self.timed = timed
        self.state: JobState = JobState.QUEUED
        self.worker: str = ""
        self.handle: WorkerHandle | None = None
        self.sent: int = 0
        self.one_by_one: bool = False
        self.ended: float = 0.0
        self.results: JobResults = JobResults(timed=timed)
        self._owner: JobOwner | None = owner  # None once it is dropped
        # The worker that had it when it was dropped, which must not live on because of that.
        self._dropped_by: weakref.ref[WorkerHandle] | None = None
        self._boundary = Boundary()
        self._started: float | None = None
        self._usage: Usage | None = None  # what it used of the machine, once it has ended
        self._seen = 0  # how many items are known to be finished

    # For the engine, see `engine/backend.py`

    @property
    def started(self) -> float | None:
        if self._started is None and self.has_begun():
            assert self.handle is not None  # noqa: S101
            self._started = self.handle.buffer.header_times[Header.STARTED]
        return self._started

    def will_expire(self, position: int, at: float) -> None:
        if self.handle is not None:
            buffer = self.handle.buffer
            buffer.header_times[Header.EXPIRES_AT] = at
            buffer.header[Header.EXPIRES_POSITION] = position

    def completed(self) -> int:
        if self.handle is not None:
            self._seen = self.handle.buffer.finished(self._seen, self.sent)
        return self._seen

    def truncate(self, keep: int) -> int:
        if self.state is JobState.QUEUED:
            del self.items[keep:]
            return keep
        if self.handle is not None:
            buffer = self.handle.buffer
            buffer.forbid(keep, self.sent)
            if self.completed() + _SAFE_DISTANCE_ITEMS >= keep:
                buffer.fence()
        return self._boundary.cut(keep, self.completed())

    def peek(self, stop: int) -> Finished:
        handle = self.handle
        if handle is not None:
            self.completed()
            handle.buffer.fence(ordered=True)
            lacks_messages = self.results.lacks_messages(handle.buffer, stop)
            self.results.copy(handle.buffer, stop, self.worker)
            if lacks_messages and self._owner is not None:
                self._owner.receive_pending(handle)  # which may be the end of the job
        return self.results.first(stop, monotonic())

    def finish(self) -> Finished:
        finished = self.results.all(self.ended)
        finished.usage = self._usage
        return finished

    def abandon(self) -> bool:
        if self.state is JobState.ENDED:
            return False
        if self.handle is None:
            self.drop()
        else:
            self.state = self.state.to(JobState.ABANDONED)
            self.handle.buffer.header[Header.CANCELLED] = self.number
            if self._owner is not None:
                self._owner.worker_abandoned(self.handle)
        return True

    def interrupt(self) -> None:
        if self.handle is not None:
            self.handle.end_call(self.number, self._seen)

    def is_running(self) -> bool:
        handle = self.handle if self._dropped_by is None else self._dropped_by()
        return handle is not None and handle.runs(self.number)

    def remarks(self) -> tuple[str, str]:
        return "", "" if self.handle is None else self.handle.remark

    def stack(self) -> tuple[Frame, ...]:
        if self.handle is None or self._owner is None:
            return ()
        return self._owner.stack(self.handle)

    # For the group

    def has_begun(self) -> bool:
        """Return whether its worker has read its items. False while it has no worker."""
        if self.handle is None or self.handle.buffer.header[Header.JOB] != self.number:
            return False
        if self.state is JobState.SENT:
            self.state = self.state.to(JobState.RUNNING)
        return True

    def was_sent(self, handle: WorkerHandle, count: int) -> None:
        """Note that a worker is about to get the first `count` items."""
        self.state = self.state.to(JobState.SENT)
        self.handle, self.worker, self.sent = handle, handle.name, count

    def requeue(self, *, one_by_one: bool = True) -> None:
        """Let another worker begin, or the same: if `one_by_one`, each item will be sealed."""
        self.state = self.state.to(JobState.QUEUED)
        self.one_by_one |= one_by_one
        self.handle = None
        del self.items[self._boundary.stop :]
        self._boundary = Boundary()

    def drop(self) -> None:
        """Let go of everything: the job was abandoned, and no worker has it any more."""
        self.state = self.state.to(JobState.DROPPED)
        if self.handle is not None:
            self._dropped_by = weakref.ref(self.handle)
        self.handle = self._owner = None
        self.items = []
        self.results.close()

    def end(self, loss: Callable[[int, Any], BaseException] | None = None) -> None:
        """Copy all that was noted, and let go of the worker, which has ended the job, or died.

        Args:
            loss: if it died, or can't read an item, what makes the failure of that item.
        """
        if self.handle is not None:  # else all of its items were taken back
            buffer, done = self.handle.buffer, self.completed()
            self.results.copy(buffer, done, self.worker)
            _ = self.started
            self.ended = buffer.header_times[Header.ENDED]
            self._usage = buffer.usage()
            if loss is not None:
                was_over = self.has_begun() and bool(self.ended)
                self.ended = monotonic()
                permitted = done < self.sent and bool(buffer.permits[done])
                if not was_over and self._boundary.is_in_flight(
                    done, self.sent, permitted=permitted
                ):
                    started = buffer.times[done] if self._started else self.ended
                    self.results.add_loss(loss(self.first + done, self.items[done]), started)
                    self._seen = done + 1
        self.state = self.state.to(JobState.ENDED)
        self.handle = None
