"""The counts of a run, and the summary that closes it."""

from __future__ import annotations

from time import monotonic

from metainformant.core import parallel

_SHOWN = 3
_LONGEST = 200


class Tally:
    """What became of the records so far. One thread counts, any may look."""

    def __init__(self) -> None:
        self.ok = 0
        self.failed = 0
        self.timed_out = 0
        self.cancelled = 0
        self.not_started = 0
        self._first: list[str] = []
        self._first_cancelled: list[str] = []  # which tell less about what went wrong
        self._since = monotonic()

    @property
    def bad(self) -> int:
        return self.failed + self.timed_out + self.cancelled

    @property
    def done(self) -> int:
        return self.ok + self.bad

    @property
    def seen(self) -> int:
        """All records that have come out of the map."""
        return self.done + self.not_started

    @property
    def seconds(self) -> float:
        return monotonic() - self._since

    @property
    def rate(self) -> float:
        return self.done / max(self.seconds, 1e-6)

    def failure(self, name: str, error: BaseException, message: str) -> None:
        """Count a record that has no result."""
        if isinstance(error, parallel.TaskTimeoutError):
            self.timed_out += 1
        elif isinstance(error, parallel.TaskCancelledError):
            self.cancelled += 1
        else:
            self.failed += 1
        is_cancelled = isinstance(error, parallel.TaskCancelledError)
        first = self._first_cancelled if is_cancelled else self._first
        if len(first) < _SHOWN:
            line = " ".join(f"{name}: {type(error).__name__}: {message}".split())
            first.append(line if len(line) <= _LONGEST else f"{line[:_LONGEST]}...")

    def summary(self) -> str:
        """One line of counts, and one for each of the first failures."""
        counts = [f"{self.ok} ok"]
        for count, word in (
            (self.failed, "failed"),
            (self.timed_out, "timed out"),
            (self.cancelled, "cancelled"),
            (self.not_started, "not started"),
        ):
            if count:
                counts.append(f"{count} {word}")
        total = self.seen
        lines = [
            f"{_records(total)}: {', '.join(counts)} "
            f"in {duration(self.seconds)}" + (f" ({rate(self.rate)})" if self.done else "")
        ]
        shown = [*self._first, *self._first_cancelled][:_SHOWN]
        lines += [f"  {line}" for line in shown]
        if self.bad > len(shown):
            lines.append(f"  … and {self.bad - len(shown)} more")
        return "\n".join(lines)


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
    """For people: `0.41 s`, `12 s`, `3:07 min`, `2:00:05 h`."""
    if seconds < 60:
        return f"{seconds:.2g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02} h" if hours else f"{minutes}:{rest:02} min"


def rate(per_second: float) -> str:
    return f"{per_second:,.1f}/s" if per_second < 100 else f"{per_second:,.0f}/s"
