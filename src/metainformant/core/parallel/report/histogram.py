"""A histogram of durations with bins of constant relative width. Pure, and of constant size."""

from __future__ import annotations

import math
from bisect import bisect_left

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

# Bins begin at so many seconds, and what is shorter is in the first one.
_FIRST_SECONDS = 1e-7
# A bin is 12 % wide, so a percentile is known to that.
_PER_DECADE = 20
_DECADES = 14  # the last bin begins after some months
_EDGES = [_FIRST_SECONDS * 10 ** (at / _PER_DECADE) for at in range(_PER_DECADE * _DECADES + 1)]


class Histogram:
    """The counts of durations, in seconds, by their order of magnitude.

    Attributes:
        count: how many there were.
        total: their sum.
        shortest, longest: of them; 0 if there were none.
    """

    def __init__(self) -> None:
        self.count: int = 0
        self.total: float = 0.0
        self.shortest: float = 0.0
        self.longest: float = 0.0
        self._counts = [0] * len(_EDGES)

    def add(self, seconds: float, count: int = 1) -> None:
        """Add `count` durations of that length."""
        if count > 0:
            self._note_range(seconds, seconds)
            self.count += count
            self.total += seconds * count
            self._counts[_bin(seconds)] += count

    def add_sorted(self, durations: Sequence[float]) -> None:
        """Add durations that ascend. That takes a step per bin, not one per duration."""
        if not durations:
            return
        self._note_range(durations[0], durations[-1])
        self.count += len(durations)
        self.total += math.fsum(durations)
        at = 0
        while at < len(durations):
            place = _bin(durations[at])
            is_last = place + 1 == len(_EDGES)
            stop = len(durations) if is_last else bisect_left(durations, _EDGES[place + 1], at + 1)
            self._counts[place] += stop - at
            at = stop

    def _note_range(self, shortest: float, longest: float) -> None:
        self.shortest = min(self.shortest, shortest) if self.count else shortest
        self.longest = max(self.longest, longest)

    def percentile(self, percent: float) -> float:
        """Return the duration that so many percent do not exceed, to the width of a bin."""
        if not self.count:
            return 0.0
        wanted, seen = self.count * percent / 100, 0
        for place, count in enumerate(self._counts):
            seen += count
            if count and seen >= wanted:
                return max(self.shortest, min(self.longest, _edge(place + 1)))
        return self.longest

    def bins(self) -> list[tuple[float, float, int]]:
        """Return the bins from the first that is not empty to the last: from, to and count."""
        filled = [place for place, count in enumerate(self._counts) if count]
        if not filled:
            return []
        return [
            (_edge(place), _edge(place + 1), self._counts[place])
            for place in range(filled[0], filled[-1] + 1)
        ]


def _bin(seconds: float) -> int:
    """Return the last bin that does not begin after this."""
    if seconds < _EDGES[1]:
        return 0
    place = min(int(math.log10(seconds / _FIRST_SECONDS) * _PER_DECADE), len(_EDGES) - 1)
    if seconds < _EDGES[place]:  # the logarithm was rounded
        return place - 1
    if place + 1 < len(_EDGES) and seconds >= _EDGES[place + 1]:
        return place + 1
    return place


def _edge(place: int) -> float:
    return 0.0 if place == 0 else _FIRST_SECONDS * 10 ** (place / _PER_DECADE)
