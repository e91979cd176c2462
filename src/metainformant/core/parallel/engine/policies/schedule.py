"""The decisions of one map: chunk sizes, who shares with whom, what is overdue, when to look.

Nothing here waits, locks or reads a clock: `now` is an argument, in seconds of a monotonic clock.
So all of it is tested with a simulated clock. State is owned by the thread that runs the engine.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable

from ..assignment import Assignment

# The constants below were picked by measuring; none of them is critical, since work that was
# handed out badly is taken back.

# Seconds of work that a chunk should hold. Each handing over disturbs all threads that share the
# GIL, so it should be rare; yet items should be started nearly in input order.
_CHUNK_SECONDS = 0.25
# In a stream a chunk is also memory, several of them for each worker. So there it should hold less,
# as long as there are no more handings over per second than so many.
_STREAM_CHUNK_SECONDS = 0.03
_MOST_PER_SECOND = 256
# Nor is it worth cutting chunks smaller than this near the end: what is too much is taken back.
_SMALL_SECONDS = 0.02
# A chunk is at most this many times larger than any that has been measured.
_GROWTH = 16
# What past chunks weigh in the measured speed, against the newest one.
_MEMORY = 0.5
# A chunk takes at most this part of a fair share of what is left, which makes the last chunks
# small (guided self-scheduling, Polychronopoulos and Kuck 1987).
_SHARE = 0.5
# Seconds below which it is not worth taking work back from a worker that is moving.
MIN_STEAL_SECONDS = 0.001


class Schedule:
    def __init__(
        self,
        *,
        workers: int,
        chunk_size: int | None = None,
        timeout: float | None = None,
        slow_after: float | None = None,
        poll_interval: float = math.inf,
        max_chunk: int | None = None,
        is_stream: bool = False,
    ) -> None:
        self._workers = workers
        self._chunk_seconds = _CHUNK_SECONDS
        if is_stream:
            least = max(_STREAM_CHUNK_SECONDS, workers / _MOST_PER_SECOND)
            self._chunk_seconds = min(_CHUNK_SECONDS, least)
        self._fixed_size = chunk_size
        self._timeout = timeout
        self._slow_after = slow_after
        self.min_steal_seconds = MIN_STEAL_SECONDS
        # Seconds between two looks for items that are overdue. A timeout fires at most one tick
        # late, and it may be max(50 ms, 5 %) late.
        limit = min(timeout or math.inf, slow_after or math.inf)
        self.tick = max(0.05, limit * 0.05) / 4
        self._poll_interval = poll_interval
        self._max_chunk = max_chunk or sys.maxsize
        self._largest = 0  # the largest chunk measured so far
        self._items = 0.0  # items and seconds measured, older ones weighing less
        self._seconds = 0.0

    def measured(self, items: int, seconds: float) -> None:
        """Learn from a chunk that ended."""
        if items:
            self._largest = max(self._largest, items)
            self._items = self._items * _MEMORY + items
            self._seconds = self._seconds * _MEMORY + max(seconds, 1e-7 * items)

    @property
    def seconds_per_item(self) -> float:
        """The measured speed; infinite before anything was measured."""
        return self._seconds / self._items if self._items else math.inf

    def chunk_size(self, left: int | None) -> int:
        """How many items the next chunk should have, if `left` are to come (None: unknown)."""
        if self._fixed_size is not None:
            return self._fixed_size
        speed = 1 / self.seconds_per_item
        size = self._chunk_seconds * speed
        if left is not None:
            size = min(size, max(left * _SHARE / self._workers, _SMALL_SECONDS * speed))
        return max(1, int(min(size, self._largest * _GROWTH, self._max_chunk)))

    def choose_steal(
        self, assignments: Iterable[Assignment], now: float
    ) -> tuple[Assignment, int] | None:
        """Choose a run to take work from, and the index from which on: half of the largest rest.

        None if there is nothing to take, or if it is not worth it yet: the rest is done sooner
        than handed over, unless the item before it turns out to be slow.
        """
        best = None
        for assignment in assignments:
            assignment.look(now)
            if best is None or assignment.rest > best.rest:
                best = assignment
        if best is None or best.rest < 1:
            return None
        stands = best.since is not None and now >= best.since + MIN_STEAL_SECONDS
        if not stands and best.rest * self.seconds_per_item < MIN_STEAL_SECONDS:
            return None
        return best, best.stop - (best.rest + 1) // 2

    def overdue_at(self, assignment: Assignment) -> float:
        """When the item in flight will have been running for `timeout`, as far as was seen."""
        if self._timeout is None or assignment.since is None or assignment.seen >= assignment.stop:
            return math.inf
        return assignment.since + self._timeout

    def slow(self, assignment: Assignment, now: float) -> bool:
        """Whether the item in flight has become slow, and nobody was told yet."""
        return assignment.reported_slow != assignment.seen and now >= self._slow_at(assignment)

    def _slow_at(self, assignment: Assignment) -> float:
        if (
            self._slow_after is None
            or assignment.since is None
            or assignment.seen >= assignment.stop
        ):
            return math.inf
        return assignment.since + self._slow_after

    def first_wakeup(self, assignment: Assignment, now: float) -> float:
        """When to look at a run that was started just now."""
        return now + (min(self.tick, self._poll_interval) if assignment.rest else self.tick)

    def next_wakeup(self, assignments: Iterable[Assignment], now: float) -> float:
        """When to look at all runs again if no worker wakes us: in time for what is overdue."""
        at = math.inf
        for assignment in assignments:
            if assignment.rest > 0 or assignment.since is None:  # may be further, unseen
                at = min(at, self.first_wakeup(assignment, now))
            at = min(at, self.overdue_at(assignment))
            if assignment.reported_slow != assignment.seen:
                at = min(at, self._slow_at(assignment))
        return at
