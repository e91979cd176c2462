"""The rate limit, applied to the moment a task starts, not the moment it is submitted.

Owned by the thread that runs the engine.
"""

from __future__ import annotations

from ...rate import RateLimit
from ..assignment import Assignment
from ..backend import Job

# Seconds between two looks at a job that a worker should start at once; they become fewer the
# longer it takes, since the worker then has to get ready first.
_MIN_POLL_SECONDS = 0.001
_POLL_FRACTION = 1 / 8
_MAX_POLL_SECONDS = 0.05


class Pace:
    """The starts of one map. One job at a time waits for its worker, which may still be starting.

    So never more than one start is owed, and when it happens the limit learns that it came late.
    """

    def __init__(self, limit: RateLimit) -> None:
        self._limit = limit
        self._owed: Assignment | None = None  # handed out, and not known to have been started
        self._since = 0.0  # when it was

    def try_acquire(self, now: float) -> float:
        """Take one start if it is due; return 0 if so, and else the seconds until it will be."""
        return self._limit.try_acquire(now)

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
            self._limit.started(at)
        return False

    def missed(self, now: float) -> int:
        """Count the starts that would have been due by now, had workers been ready for them."""
        return int((now - self._since) * self._limit.per_second)

    def next_wakeup(self, now: float) -> float:
        """Return when to look again whether the owed start has happened."""
        return now + min(
            _MAX_POLL_SECONDS, max(_MIN_POLL_SECONDS, (now - self._since) * _POLL_FRACTION)
        )
