"""The limits on items in flight: which are overdue or slow, and when to look at them again.

Pure: `now` is an argument, in seconds of a monotonic clock.
"""

from __future__ import annotations

import math

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..assignment import Assignment

# A timeout may fire this late: so many seconds, or this part of the timeout if that is more.
_MAX_LATE_SECONDS = 0.05
_MAX_LATE_FRACTION = 0.05
# Seconds between two looks at quick items whose order of completion is wanted.
_SAMPLE_SECONDS = 0.005


class Timeouts:
    """The limits on one item, applied to what the engine sees of the assignments.

    Args:
        timeout: seconds after which an item in flight is overdue; None for never.
        slow_after: seconds after which it is reported as slow; None for never.
        poll_interval: seconds between two looks that the map needs for other reasons.

    Attributes:
        timeout: the same; infinite for never.
    """

    def __init__(
        self,
        timeout: float | None = None,
        slow_after: float | None = None,
        poll_interval: float = math.inf,
    ) -> None:
        self.timeout: float = math.inf if timeout is None else timeout
        self._slow_after = math.inf if slow_after is None else slow_after
        # An item in flight is seen one look late at most, and its expiry again: so with four looks
        # in the time by which a timeout may be late, there is room for a busy machine.
        limit = min(self.timeout, self._slow_after)
        self._tick = max(_MAX_LATE_SECONDS, limit * _MAX_LATE_FRACTION) / 4
        self._rest_tick = min(self._tick, poll_interval)

    def overdue_at(self, assignment: Assignment) -> float:
        """Return when the item in flight will have run for `timeout`, as far as was seen."""
        return _since(assignment) + self.timeout

    def is_slow(self, assignment: Assignment, now: float) -> bool:
        """Return whether the item in flight has become slow, and that was not reported yet."""
        return assignment.reported_slow != assignment.seen and now >= self._slow_at(assignment)

    def _slow_at(self, assignment: Assignment) -> float:
        return _since(assignment) + self._slow_after

    def first_wakeup(self, assignment: Assignment, now: float) -> float:
        """Return when to look at an assignment that was submitted just now."""
        if assignment.rest:
            tick = self._rest_tick
            return now + (tick if assignment.samples is None else min(tick, _SAMPLE_SECONDS))
        return now + self._tick

    def next_wakeup(self, assignments: Iterable[Assignment], now: float) -> float:
        """Return when to look at all assignments again, in time for what will be overdue."""
        at = math.inf
        for assignment in assignments:
            if assignment.rest > 0 or assignment.since is None:  # may be further, unseen
                at = min(at, self.first_wakeup(assignment, now))
            at = min(at, self.overdue_at(assignment))
            if assignment.reported_slow != assignment.seen:
                at = min(at, self._slow_at(assignment))
        return at


def _since(assignment: Assignment) -> float:
    """Return since when the item in flight runs, as far as was seen; infinity if there is none."""
    if assignment.since is None or assignment.seen >= assignment.stop:
        return math.inf
    return assignment.since
