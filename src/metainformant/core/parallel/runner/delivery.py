"""From pieces of outcomes, which arrive as chunks end, to the results that the caller gets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ..engine.outcome_batch import OutcomeBatch
from ..validate import OnError


def collect(
    batches: Iterable[OutcomeBatch], total: int, *, ordered: bool, on_error: OnError
) -> list[Any]:
    """Gather all pieces of a map over `total` items into the list that it returns."""
    skip = on_error == "skip"
    if not ordered:
        results: list[Any] = []
        for batch in batches:
            results.extend(batch.successes() if skip else batch.values)
        return results
    slots: list[Any] = [None] * total
    skipped: set[int] = set()
    for _, start, values, failed, _, _ in batches:
        slots[start : start + len(values)] = values
        if skip:
            skipped.update(failed)
    if skipped:
        return [value for index, value in enumerate(slots) if index not in skipped]
    return slots


class ReorderBuffer:
    """Holds pieces back until those before them have come."""

    def __init__(self) -> None:
        self._waiting: dict[int, OutcomeBatch] = {}
        self._position = 0
        self.held = 0  # how many items are held back

    def add(self, batch: OutcomeBatch) -> Iterator[OutcomeBatch]:
        """Yield those that can go on, now that `batch` has come."""
        self._waiting[batch.start] = batch
        self.held += len(batch.values)
        while self._position in self._waiting:
            ready = self._waiting.pop(self._position)
            self._position += len(ready.values)
            self.held -= len(ready.values)
            yield ready


def reordered(batches: Iterable[OutcomeBatch]) -> Iterator[OutcomeBatch]:
    order = ReorderBuffer()
    for batch in batches:
        yield from order.add(batch)


def notify(
    batches: Iterable[OutcomeBatch], tell: Callable[[int, Any, Any], object] | None
) -> Iterator[OutcomeBatch]:
    """Call `tell` with index, item and value of every success before it goes on."""
    for batch in batches:
        notify_batch(batch, tell)
        yield batch


def notify_batch(batch: OutcomeBatch, tell: Callable[[int, Any, Any], object] | None) -> None:
    if tell is not None:
        for index, value in batch.successes_by_index():
            tell(index, batch.chunk.item(index), value)
