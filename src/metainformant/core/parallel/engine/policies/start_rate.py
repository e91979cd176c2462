"""The rate limits, applied to the moment a task starts, not the moment it is submitted.

Owned by the thread that runs the engine.
"""

from __future__ import annotations

import math

from ...rate import came_late, take

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...rate import Charge, RateLimit
    from ...spending import Spending
    from ..assignment import Assignment
    from ..backend import Job
    from ..source import Chunk

# Seconds between two looks at a job that a worker should start at once; they become fewer the
# longer it takes, since the worker then has to get ready first.
_MIN_POLL_SECONDS = 0.001
_POLL_FRACTION = 1 / 8
_MAX_POLL_SECONDS = 0.05


class Pace:
    """The starts of one map. One job at a time waits for its worker, which may still be starting.

    So never more than one start is owed, and when it happens the limits learn that it came late.

    Args:
        limits: all of them hold.
        spending: what may be spent, and was; None for any amount.
    """

    def __init__(self, limits: Sequence[RateLimit], spending: Spending | None = None) -> None:
        self._limits = limits
        self._spending = spending
        self._owed: Assignment | None = None  # handed out, and not known to have been started
        self._since = 0.0  # when it was
        self._priced: Chunk | None = None  # the chunk that was priced last, and what it costs
        self._charges: list[Charge] = [(limit, 1.0) for limit in limits]
        self._per_second = min(limit.per_second for limit in limits)
        # Why nothing more may be started, as long as no task turns out to have cost less.
        self.exhausted: str | None = None

    def try_acquire(self, chunk: Chunk, now: float) -> float:
        """Take the start of a chunk of one item if it is due.

        Return 0 if so, and else the seconds until it will be: infinity if it would cost too much.
        """
        charges = self._charges_of(chunk)
        spending = self._spending
        if spending is None:
            return take(charges, now)
        cost = sum(units for limit, units in charges if limit is spending.limit)
        spent = spending.spent
        if spent + cost > spending.most:
            self.exhausted = (
                f"max_cost={spending.most:g} would be exceeded: {spent:g} were spent, and the next "
                f"task costs {cost:g}"
            )
            return math.inf
        self.exhausted = None
        wait = take(charges, now)
        if not wait:
            spending.add(cost)
        return wait

    def _charges_of(self, chunk: Chunk) -> list[Charge]:
        if chunk is not self._priced:  # it is asked for again and again until it is due
            item = chunk.item(chunk.start)
            charges = [(limit, limit.cost_of(item)) for limit in self._limits]
            self._priced, self._charges = chunk, charges
            rates = [limit.per_second / units for limit, units in charges if units]
            self._per_second = min(rates, default=math.inf)
        return self._charges

    def pause(self, seconds: float) -> None:
        """Let nothing be started for so long, also by others who share the limits."""
        for limit in self._limits:
            limit.pause(seconds)

    def handed_out(self, assignment: Assignment, now: float) -> None:
        self._owed, self._since = assignment, now

    def is_owed(self, assignments: dict[Job, Assignment]) -> bool:
        """Return whether the last job, if among the `assignments`, still waits for its worker."""
        assignment = self._owed
        if assignment is None:
            return False
        at = assignment.job.started
        if at is None and assignment.job in assignments:
            return True
        self._owed = None
        if at is not None:
            came_late(self._charges, at)
        return False

    def missed(self, now: float) -> int:
        """Count the starts that would have been due by now, had workers been ready for them."""
        return int(min((now - self._since) * self._per_second, 1e9))

    def next_wakeup(self, now: float) -> float:
        """Return when to look again whether the owed start has happened."""
        return now + min(
            _MAX_POLL_SECONDS, max(_MIN_POLL_SECONDS, (now - self._since) * _POLL_FRACTION)
        )
