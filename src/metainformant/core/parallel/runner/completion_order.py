"""Putting the results of a list map in the order in which its items were completed.

Nobody reads them before the end, so nothing has to be delivered early for that: the batches tell
when each of their items was finished.
"""

from __future__ import annotations

import math
from bisect import bisect_right

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from ..engine.outcome_batch import OutcomeBatch
    from .delivery import Selection

# Items of one chunk stay together that were finished within so many seconds. Less than 5 ms, so
# that of two items that end that far apart the first one belongs to a part that began earlier.
_TOGETHER_SECONDS = 0.004


class CompletionCollector:
    """Results in the order of completion."""

    def __init__(self, selection: Selection) -> None:
        self._batches: list[OutcomeBatch] = []
        self._selection = selection

    def add(self, batch: OutcomeBatch) -> None:
        self._batches.append(batch)  # and no more, while workers want the GIL

    def fill(self, failure: Callable[[int], BaseException]) -> None:
        """Do nothing: what was not completed has no place."""

    def results(self) -> list[Any]:
        parts = [part for batch in self._batches for part in self._parts(batch)]
        parts.sort(key=_time)
        return self._selection.without_none([value for _, values in parts for value in values])

    def _parts(self, batch: OutcomeBatch) -> Iterator[tuple[float, list[Any]]]:
        """Yield values that stay together, with the time of the first."""
        values, times = self._selection.slots(batch), batch.times
        begin = 0
        while begin < len(values):
            at, stop = math.inf, len(values)  # those that were never started are the last
            if times:
                at = times[begin + 1]  # when the item at `begin` was finished
                stop = bisect_right(times, at + _TOGETHER_SECONDS, begin + 2) - 1
            part = values[begin:stop]
            if self._selection.skips_failures and batch.failed:
                first = batch.start + begin
                part = [
                    value for index, value in enumerate(part, first) if index not in batch.failed
                ]
            yield at, part
            begin = stop


def _time(part: tuple[float, list[Any]]) -> float:
    return part[0]
