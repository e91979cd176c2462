"""Outcomes of consecutive items, as they come from a worker."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from ..outcome import Outcome
from .source import Chunk


class OutcomeBatch(NamedTuple):
    """Outcomes of consecutive items, the first of which has the index `start`.

    `failed` holds the failures by index; their exceptions stand among the values too.
    """

    chunk: Chunk  # which has the items
    start: int
    values: list[Any]
    failed: dict[int, BaseException]
    worker: str = ""
    # When each item was started, and when the last one ended, if the map keeps times; else empty.
    times: list[float] = []  # noqa: RUF012  # never changed

    def outcomes(self, epoch: float = 0.0) -> Iterator[Outcome[Any, Any]]:
        """One record per item; `epoch` is added to the times."""
        chunk, _, _, failed, worker, times = self
        item, attempts = chunk.item, chunk.attempt
        started = seconds = None
        for position, value in enumerate(self.values):
            index = self.start + position
            if times:
                started = times[position] + epoch
                seconds = times[position + 1] - times[position]
            if index in failed:
                yield Outcome(index, item(index), None, value, attempts, started, seconds, worker)
            else:
                yield Outcome(index, item(index), value, None, attempts, started, seconds, worker)

    def forget_items(self, count: int) -> None:
        """Drop the references to the `count` items. Only for input that nobody else has."""
        base = self.chunk.base
        if isinstance(base, list):
            first = self.start - self.chunk.origin
            base[first : first + count] = [None] * count

    def successes(self) -> list[Any]:
        """The values without those of failed items."""
        if not self.failed:
            return self.values
        return [value for _, value in self.successes_by_index()]

    def successes_by_index(self) -> Iterator[tuple[int, Any]]:
        for index, value in enumerate(self.values, self.start):
            if index not in self.failed:
                yield index, value
