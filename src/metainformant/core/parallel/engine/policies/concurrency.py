"""How many calls to make at a time, found out from how long they take and which are refused.

Pure: time is an argument, in seconds of a monotonic clock. Owned by the engine's thread.

A round lasts until as many calls have ended as are made at a time, of those that it has begun. At
its end the throughput is known by Little's law: calls at a time divided by seconds per call. What
follows from it is in `Concurrency.ended`; decision 31 has the reasons, and compares it with others.
"""

from __future__ import annotations

import math
from typing import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...auto import Auto

# A round has at least so many calls, and lasts so many seconds, or it would measure nothing.
_MIN_CALLS = 4
_MIN_SECONDS = 0.15
# Of the workers that there may be, so many must be in use, or more of them would change nothing.
_IN_USE = 0.8
# A step up has to bring this part of its share in throughput, and a step down to cost it, to be
# told from the opposite by a round.
_WORTH = 0.5
# Doubling goes on as long as it brings this part of its share.
_ALL_WORTH = 0.8
# Growth per round at first, and when many rounds have been clean; after so much of it a step is
# judged, since less would be hidden by chance.
_GROWTH = 1.05
_MORE_GROWTH = 1.10
_CLEAN_ROUNDS = 4
_STEP = 1.25
_STEP_DOWN = 0.8
# What remains after a refusal. From there it grows to so much of what was refused, and stays there
# for some rounds: as in CUBIC, what was too much shortly before probably still is.
_CUT = 0.85
_NEAR = 0.95
_NEAR_ROUNDS = 4
# Seconds for which no step up is tried after one that was taken back: doubled each time.
_HOLD = 2.0
_LONGEST_HOLD = 60.0
# Seconds without a start when nothing succeeds any more, as a factor of how long a call takes; how
# they grow, and the longest.
_PAUSE_CALLS = 1.0
_PAUSE_GROWTH = 1.5
_LONGEST_PAUSE = 3.0


class WorkersChanged:
    """A change of the number of workers in use, of a map that finds it out."""

    __slots__ = ("after", "at", "before", "why")

    def __init__(self, at: float, before: int, after: int, why: str) -> None:
        self.at: float = at  # monotonic clock
        self.before: int = before
        self.after: int = after
        self.why: str = why


class _Measured(NamedTuple):
    workers: float
    throughput: float


class Concurrency:
    """The number of calls that one map makes at a time.

    Attributes:
        history: all changes of that number.
    """

    def __init__(self, auto: Auto, now: float) -> None:
        self._least = auto.least
        self._most = auto.most
        self._limit = float(auto.start)
        self.history: list[WorkersChanged] = []
        # The round: since when, and of the jobs that it has begun, their number, items, seconds,
        # and how many were in use when they ended.
        self._since = now
        self._calls = 0
        self._items = 0
        self._seconds = 0.0
        self._used = 0
        # What is tried: a step is judged against what was measured before it.
        self._before: _Measured | None = None
        self._factor = 2.0  # of the next step
        self._is_doubling = True
        self._is_probing_down = False
        self._doubled = False  # whether a doubling was worth it
        self._down_factor = 0.0  # of the next step down; 0 for none
        self._hold = _HOLD
        self._held_until = -math.inf
        self._clean = 0  # rounds since there was no more to learn from the last refusal
        # Refusals: how many calls were too many, infinity if that is not known (any more); and the
        # rounds that were spent near to it.
        self._too_many = math.inf
        self._near_rounds = 0
        self._cut_at = -math.inf
        self._succeeded = True  # whether a call did that was begun after the last cut
        self._pause = 0.0
        self._paused_until = -math.inf
        self._latency = 0.0  # of a call

    @property
    def workers(self) -> int:
        """The number of workers that there should be."""
        return int(self._limit)

    def allowed(self, now: float) -> int:
        """Return how many calls may be in flight: fewer for as long as nothing succeeds."""
        if now < self._paused_until:
            return 0
        return self.workers if self._succeeded or not self._pause else 1

    @property
    def next_wakeup(self) -> float:
        """The time at which a pause ends."""
        return self._paused_until

    def ended(self, now: float, started: float, items: int, in_use: int) -> None:
        """Learn that a job has ended that was not refused.

        Args:
            now: when.
            started: when it was handed out.
            items: how many it had.
            in_use: how many workers were in use, its own included.
        """
        seconds = now - started
        per_item = seconds / max(items, 1)
        self._latency += (per_item - self._latency) * (0.1 if self._latency else 1.0)
        if started > self._cut_at:
            self._succeeded = True
            self._pause = 0.0
        if started < self._since:
            return
        self._calls += 1
        self._items += items
        self._seconds += seconds
        self._used += in_use
        if self._calls >= max(self.workers, _MIN_CALLS) and now >= self._since + _MIN_SECONDS:
            self._end_round(now)

    def refused(self, now: float, started: float, in_use: int) -> None:
        """Learn that a call was refused that was begun at `started`."""
        if started <= self._cut_at:
            return  # it belongs to those for which there was a cut already
        self._begin_round(now)
        if self._succeeded:
            self._cut(now, in_use)
        else:  # nothing succeeds: fewer at a time would not help, but later may
            first = _PAUSE_CALLS * max(self._latency, 0.05)
            self._pause = min(self._pause * _PAUSE_GROWTH if self._pause else first, _LONGEST_PAUSE)
            self._paused_until = now + self._pause
        self._cut_at = now
        self._succeeded = False

    def paused(self, now: float) -> None:
        """Learn that nothing is started for a while: what is measured meanwhile says nothing."""
        self._begin_round(now)

    def _cut(self, now: float, in_use: int) -> None:
        before = self._before
        limit = self._limit if in_use >= self.workers else max(in_use, 1)
        known = self._too_many
        # A refusal of fewer may be by chance, or the limit may have sunk: repeated ones will tell.
        self._too_many = (known + limit) / 2 if limit < known < math.inf else limit
        self._near_rounds = 0
        limit *= _CUT
        if self._is_doubling and before is not None:
            limit = min(limit, before.workers)
        self._is_doubling = self._is_probing_down = False
        self._doubled = True
        self._before = None
        self._down_factor = 0.0
        self._change(limit, now, "a call was refused")

    def _begin_round(self, now: float) -> None:
        self._since = now
        self._calls = self._items = self._used = 0
        self._seconds = 0.0

    def _end_round(self, now: float) -> None:
        used = self._used / self._calls
        throughput = used * self._items / self._seconds if self._seconds > 0 else math.inf
        is_full = used >= _IN_USE * self.workers
        self._begin_round(now)
        if not is_full:
            return
        self._clean += 1
        measured = _Measured(self._limit, throughput)
        before = self._before
        if before is None or before.workers == self._limit:
            self._before = measured
            self._next_step(now)
        elif self._is_probing_down:
            self._judge_down(measured, before, now)
        elif int(measured.workers) >= int(before.workers) + 1 and self._is_step(before):
            self._judge_up(measured, before, now)
        else:
            self._grow(now)

    def _is_step(self, before: _Measured) -> bool:
        return self._is_doubling or self._limit >= before.workers * _STEP or self._is_at_most

    @property
    def _is_at_most(self) -> bool:
        return self._limit >= self._most

    def _next_step(self, now: float) -> None:
        if self._down_factor:
            self._is_probing_down = True
            self._change(self._limit * self._down_factor, now, "fewer may do as well")
            if self._before is not None and self._before.workers == self._limit:
                self._is_probing_down, self._down_factor = False, 0.0  # there are no fewer
        elif now >= self._held_until:
            self._grow(now)

    def _grow(self, now: float) -> None:
        if self._is_at_most:
            return
        if self._is_doubling:
            self._change(self._limit * 2, now, "doubled, until that brings nothing")
            return
        near = self._too_many * _NEAR
        if self._limit >= near:
            self._near_rounds += 1
            if self._near_rounds <= _NEAR_ROUNDS:
                return
            self._too_many, self._clean, near = math.inf, 0, math.inf
        is_far = near < math.inf or self._clean > _CLEAN_ROUNDS
        limit = self._limit * (_MORE_GROWTH if is_far else _GROWTH)
        self._change(min(limit, near), now, "a round was clean")

    def _judge_up(self, measured: _Measured, before: _Measured, now: float) -> None:
        share = measured.workers / before.workers - 1
        gain = measured.throughput / before.throughput - 1
        if gain >= _WORTH * share:
            if gain < _ALL_WORTH * share:
                self._is_doubling = False  # the next one would bring too little
            self._before = measured
            self._doubled = True
            self._hold = _HOLD
            self._grow(now)
            return
        # Was it not worth it at all, fewer may be as good.
        self._down_factor = _STEP_DOWN if self._doubled else 1 / 2
        self._is_doubling = False
        self._held_until = now + self._hold
        self._hold = min(self._hold * 2, _LONGEST_HOLD)
        self._before = None
        self._change(before.workers, now, "more brought too little")

    def _judge_down(self, measured: _Measured, before: _Measured, now: float) -> None:
        share = 1 - measured.workers / before.workers
        if 1 - measured.throughput / before.throughput < _WORTH * share:
            self._before = measured
            self._next_step(now)
            return
        self._is_probing_down, self._down_factor = False, 0.0
        self._before = None
        self._change(before.workers, now, "fewer were too few")

    def _change(self, limit: float, now: float, why: str) -> None:
        before = self.workers
        self._limit = min(max(limit, self._least), self._most)
        if self.workers != before:
            self.history.append(WorkersChanged(now, before, self.workers, why))
