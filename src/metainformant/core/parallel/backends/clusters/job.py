"""A chunk that a seat of a cluster runs, seen from the engine's side."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

from ...engine.backend import Finished, nothing_runs

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from ...engine.source import Chunk
    from ...errors import Frame

    class JobOwner(Protocol):
        """The owner of the jobs of a map."""

        def was_cut(self, job: ClusterJob) -> None:
            """Learn that the engine has taken items back, and perhaps wants more of them."""

        def was_abandoned(self, job: ClusterJob) -> None: ...


class ClusterJob:
    """A job of the engine. Owned by the engine's thread.

    Attributes:
        number: of this chunk, unlike that of any other in this map.
        seat: who has its items; None while it is queued, and when it has ended.
        permitted: items before this position may have been started.
        stop: items from this position on are the engine's again; none of them is permitted.
        worker: the name of the worker that runs it; empty before.
    """

    def __init__(self, chunk: Chunk, number: int, owner: JobOwner) -> None:
        self.number = number
        self.items: list[Any] = chunk.items()
        self.first: int = chunk.start
        self.attempt: int = chunk.attempt
        self.seat: Any = None  # a SeatView, which leads back to this
        self.permitted = 0
        self.stop: int = len(self.items)
        self.worker = ""
        self.started: float | None = None
        self.ended: float = 0.0
        self.is_ended: bool = False
        self.is_abandoned: bool = False
        self._owner = owner
        self._finished = Finished([], {})

    # For the engine, see `engine/backend.py`

    def will_expire(self, position: int, at: float) -> None:
        pass  # the engine of the seat tells the task

    def completed(self) -> int:
        return len(self._finished.values)

    def truncate(self, keep: int) -> int:
        """Take back at once what is not permitted; of the rest, ask back what is not started."""
        if self.is_ended:
            return max(keep, self.completed())
        cut = max(keep, self.permitted)
        self.stop = min(self.stop, cut)
        self._owner.was_cut(self)
        return cut

    def peek(self, stop: int) -> Finished:
        finished = self._finished
        failed = {at: error for at, error in finished.failed.items() if at < stop}
        return Finished(finished.values[:stop], failed, finished.times[: stop + 1])

    def finish(self) -> Finished:
        return self._finished

    def abandon(self) -> bool:
        if not self.is_ended:
            self.is_abandoned = True
            self._owner.was_abandoned(self)
        return self.is_abandoned

    def interrupt(self) -> None:
        pass  # stopping the seats does it

    @property
    def is_running(self) -> Callable[[], bool]:
        return nothing_runs

    def remarks(self) -> tuple[str, str]:
        return "", ""

    def stack(self) -> tuple[Frame, ...]:
        return ()

    # For its owner

    @property
    def outstanding(self) -> int:
        """The number of items that may have been started and are not reported."""
        return self.permitted - self.completed()

    @property
    def is_done(self) -> bool:
        return self.completed() >= self.stop

    def add(self, values: list[Any], failed: dict[int, BaseException], times: list[float]) -> None:
        """Take the outcomes of the next items."""
        own, start = self._finished, self.completed()
        own.values += values
        own.failed.update({start + at: error for at, error in failed.items()})
        if times:
            own.times[start:] = times  # when the last one ended is when the next ones began

    def end(self, at: float | None = None) -> None:
        self.is_ended = True
        self.seat = None
        self.ended = monotonic() if at is None else at
        times = self._finished.times
        if times and len(times) <= self.completed():  # of items that were lost nothing is known
            times += [self.ended] * (self.completed() + 1 - len(times))
