"""The slowest items of a run. Pure, and not thread-safe."""

from __future__ import annotations

import heapq

from ..describe import describe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_KEPT = 20


class Slow:
    """One of the slowest items."""

    __slots__ = ("attempt", "index", "item", "seconds", "worker")

    def __init__(self, seconds: float, index: int, item: str, worker: str, attempt: int) -> None:
        self.seconds: float = seconds
        self.index: int = index
        self.item: str = item
        self.worker: str = worker
        self.attempt: int = attempt

    def __lt__(self, other: Slow) -> bool:
        return self.seconds < other.seconds


class Slowest:
    """The items that took longest.

    Attributes:
        least: the seconds that an item must exceed to be among them.
    """

    def __init__(self) -> None:
        self._heap: list[Slow] = []
        self.least: float = -1.0

    def add(
        self, seconds: float, index: int, item: Callable[[int], object], worker: str, attempt: int
    ) -> None:
        """Take an item, if it is slow enough; only then is it described."""
        if seconds <= self.least:
            return
        slow = Slow(seconds, index, describe(item(index)), worker, attempt)
        if len(self._heap) < _KEPT:
            heapq.heappush(self._heap, slow)
        else:
            heapq.heapreplace(self._heap, slow)
        if len(self._heap) == _KEPT:
            self.least = self._heap[0].seconds

    def in_order(self) -> list[Slow]:
        """Return them, the slowest first."""
        return sorted(self._heap, reverse=True)

    def data(self) -> list[dict[str, Any]]:
        """Return them as plain values, the slowest first."""
        names = Slow.__slots__[::-1]
        return [{name: getattr(slow, name) for name in names} for slow in self.in_order()]
