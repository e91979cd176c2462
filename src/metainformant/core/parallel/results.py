"""From pieces of outcomes, which arrive as chunks end, to the results that the caller gets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from .outcome import Outcome
from .plan import OnError
from .source import Chunk


class Piece(NamedTuple):
    """Outcomes of consecutive items, the first of which has the index `start`.

    `failed` holds the failures by index; their exceptions stand among the values too.
    """

    chunk: Chunk  # which has the items
    start: int
    values: list[Any]
    failed: dict[int, BaseException]

    def outcomes(self) -> Iterator[Outcome[Any, Any]]:
        item, failed = self.chunk.item, self.failed
        for index, value in enumerate(self.values, self.start):
            if index in failed:
                yield Outcome(index, item(index), None, value)
            else:
                yield Outcome(index, item(index), value, None)

    def successes(self) -> list[Any]:
        """The values without those of failed items."""
        if not self.failed:
            return self.values
        pairs = enumerate(self.values, self.start)
        return [value for index, value in pairs if index not in self.failed]


def collect(pieces: Iterable[Piece], total: int, *, ordered: bool, on_error: OnError) -> list[Any]:
    """Gather all pieces of a map over `total` items into the list that it returns."""
    skip = on_error == "skip"
    if not ordered:
        results: list[Any] = []
        for piece in pieces:
            results.extend(piece.successes() if skip else piece.values)
        return results
    slots: list[Any] = [None] * total
    skipped: set[int] = set()
    for _, start, values, failed in pieces:
        slots[start : start + len(values)] = values
        if skip:
            skipped.update(failed)
    if skipped:
        return [value for index, value in enumerate(slots) if index not in skipped]
    return slots


def in_order(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """Hold pieces back until those before them have come."""
    waiting: dict[int, Piece] = {}
    position = 0
    for piece in pieces:
        waiting[piece.start] = piece
        while position in waiting:
            ready = waiting.pop(position)
            position += len(ready.values)
            yield ready
