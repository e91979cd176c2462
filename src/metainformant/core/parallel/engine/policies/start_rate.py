"""Keeping starts to a rate as they happen, not as they are asked for.

Owned by the thread that runs the engine.
"""

from __future__ import annotations

from ...rate import RateLimit
from ..assignment import Run
from ..backend import Job

# Seconds between two looks at a job that a worker should start at once; they become fewer the
# longer it takes, since the worker then has to get ready first.
_SOON = 0.001
_PATIENCE = 1 / 8
_LONGEST = 0.05


class Pace:
    """Lets one job at a time wait for its worker, which may need long to get ready.

    So never more than one start is owed, and when it happens the limit learns that it came late.
    """

    def __init__(self, limit: RateLimit) -> None:
        self._limit = limit
        self._owed: Run | None = None  # handed out, and not known to have been started
        self._since = 0.0  # when it was

    def try_acquire(self, now: float) -> float:
        """Take one start if it is due; return 0 if so, and else the seconds until it will be."""
        return self._limit.try_acquire(now)

    def handed_out(self, run: Run, now: float) -> None:
        self._owed, self._since = run, now

    def is_owed(self, runs: dict[Job, Run]) -> bool:
        """Whether the last job, if it is among the `runs`, still waits for its worker."""
        run = self._owed
        if run is None:
            return False
        at = run.job.started
        if at is None and run.job in runs:
            return True
        self._owed = None
        if at is not None:
            self._limit.started(at)
        return False

    def missed(self, now: float) -> int:
        """How many more starts would have been due by now, had workers been ready for them."""
        return int((now - self._since) * self._limit.per_second)

    def look_at(self, now: float) -> float:
        """When to look again whether the owed start has happened."""
        return now + min(_LONGEST, max(_SOON, (now - self._since) * _PATIENCE))
