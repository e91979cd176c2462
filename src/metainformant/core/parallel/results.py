"""From pieces of outcomes, which arrive as chunks end, to the results that the caller gets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from .outcome import Outcome
from .source import Chunk
from .validate import OnError


class Piece(NamedTuple):
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
