"""From pieces of outcomes, which arrive as chunks end, to the results that the caller gets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ..engine.outcome_batch import Piece
from ..validate import OnError


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
    for _, start, values, failed, _, _ in pieces:
        slots[start : start + len(values)] = values
        if skip:
            skipped.update(failed)
    if skipped:
        return [value for index, value in enumerate(slots) if index not in skipped]
    return slots


class InOrder:
    """Holds pieces back until those before them have come."""

    def __init__(self) -> None:
        self._waiting: dict[int, Piece] = {}
        self._position = 0
        self.held = 0  # how many items are held back

    def add(self, piece: Piece) -> Iterator[Piece]:
        """Yield those that can go on, now that `piece` has come."""
        self._waiting[piece.start] = piece
        self.held += len(piece.values)
        while self._position in self._waiting:
            ready = self._waiting.pop(self._position)
            self._position += len(ready.values)
            self.held -= len(ready.values)
            yield ready


def in_order(pieces: Iterable[Piece]) -> Iterator[Piece]:
    order = InOrder()
    for piece in pieces:
        yield from order.add(piece)


def told(
    pieces: Iterable[Piece], tell: Callable[[int, Any, Any], object] | None
) -> Iterator[Piece]:
    """Call `tell` with index, item and value of every success before it goes on."""
    for piece in pieces:
        tell_of(piece, tell)
        yield piece


def tell_of(piece: Piece, tell: Callable[[int, Any, Any], object] | None) -> None:
    if tell is not None:
        for index, value in piece.successes_by_index():
            tell(index, piece.chunk.item(index), value)
