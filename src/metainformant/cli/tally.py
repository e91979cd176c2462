"""The counts of a run, and the summary that closes it."""

from __future__ import annotations

import math
from time import monotonic

from metainformant.core import parallel

from .failures import Failure, FailureGroups


class Tally:
    """The counts of records by how they ended. One thread counts, any may look."""

    def __init__(self) -> None:
        self.ok = 0
        self.failed: int = 0
        self.timed_out: int = 0
        self.cancelled: int = 0
        self.not_started = 0
        self.dropped = 0  # of those that are ok, how many have no row, by --drop-none
        self.throttled = 0  # calls that a service has refused, and that were made again
        self.recorded = 0  # of all these, how many come from a checkpoint
        self.failures: FailureGroups = FailureGroups()
        # Written by the thread that reports the progress of the map, if it is shown.
        self._paused_until = -math.inf
        self._since = monotonic()

    @property
    def bad(self) -> int:
        return self.failed + self.timed_out + self.cancelled

    @property
    def done(self) -> int:
        return self.ok + self.bad

    @property
    def seen(self) -> int:
        """The number of records that have come out of the map."""
        return self.done + self.not_started

    @property
    def seconds(self) -> float:
        return monotonic() - self._since

    @property
    def rate(self) -> float:
        return (self.done - self.recorded) / max(self.seconds, 1e-6)

    @property
    def pause(self) -> float:
        """The seconds for which no call is made, since a service has asked for that."""
        return max(0.0, self._paused_until - monotonic())

    def report(self, progress: parallel.Progress) -> None:
        """Take over what only the map knows."""
        self._paused_until = monotonic() + progress.pause

    def failure(self, error: BaseException, failure: Failure) -> None:
        """Count a record that has no result."""
        if isinstance(error, parallel.TaskTimeoutError):
            self.timed_out += 1
        elif isinstance(error, parallel.TaskCancelledError):
            self.cancelled += 1
        else:
            self.failed += 1
        self.failures.add(failure)

    def in_words(self) -> str:
        """Return the counts in one line."""
        none = f", {self.dropped:,} of them None" if self.dropped else ""
        counts = [f"{self.ok:,} ok{none}"]
        for count, word in (
            (self.failed, "failed"),
            (self.timed_out, "timed out"),
            (self.cancelled, "cancelled"),
            (self.not_started, "not started"),
        ):
            if count:
                counts.append(f"{count:,} {word}")
        known = f" ({self.recorded:,} from the checkpoint)" if self.recorded else ""
        speed = f" ({rate(self.rate)})" if self.done > self.recorded else ""
        took = duration(self.seconds)
        calls = "call was" if self.throttled == 1 else "calls were"
        again = f"; {self.throttled:,} refused {calls} tried again" if self.throttled else ""
        return f"{_records(self.seen)}{known}: {', '.join(counts)} in {took}{speed}{again}"


def rest(read: int, seen: int, *, is_all_read: bool, expected: int | None) -> str:
    """Say what a run that stopped early has not done.

    Args:
        read: how many records were read.
        seen: how many of them have come out of the map.
        is_all_read: whether there were no more.
        expected: how many there are in all, about; None if that is not known.
    """
    parts = []
    if more := read - seen:
        parts.append(f"{_records(more, 'more ')} had been read and {_have(more)} no row")
    if not is_all_read:
        about = f" (about {_records(expected)} in all)" if expected is not None else ""
        parts.append(f"the input was not read to its end{about}")
    return f"stopped early: {'; '.join(parts)}" if parts else ""


def _records(count: int, which: str = "") -> str:
    return f"{count:,} {which}record{'' if count == 1 else 's'}"


def _have(count: int) -> str:
    return "has" if count == 1 else "have"


def duration(seconds: float) -> str:
    """Write a duration for people: `0.41 s`, `12 s`, `3:07 min`, `2:00:05 h`."""
    if seconds < 60:
        return f"{seconds:.2g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02} h" if hours else f"{minutes}:{rest:02} min"


def rate(per_second: float) -> str:
    return f"{per_second:,.1f}/s" if per_second < 100 else f"{per_second:,.0f}/s"
