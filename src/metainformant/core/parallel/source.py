"""Items on their way to workers: the input cut into chunks.

A chunk does not copy its items: it is a window onto a list that is never changed. So cutting it
again, when work is taken back from one worker for another, costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from time import monotonic
from typing import Any, NamedTuple, Protocol

# Seconds after which a chunk is handed out as it is, instead of waiting for a slow input.
_READING_SECONDS = 0.005


class Chunk(NamedTuple):
    """The items from index `start` up to `stop`; `base[0]` is the item with index `origin`."""

    base: list[Any] | tuple[Any, ...]
    origin: int
    start: int
    stop: int
    attempt: int = 1  # which try this is, counted from 1

    def items(self) -> list[Any]:
        part = self.base[self.start - self.origin : self.stop - self.origin]
        return part if type(part) is list else list(part)

    def item(self, index: int) -> Any:
        return self.base[index - self.origin]


class Source(Protocol):
    """Where chunks come from. Owned by the thread that runs the engine."""

    @property
    def is_slow(self) -> bool:
        """Whether reading took so long just now that there may be something else to see to."""
        ...

    @property
    def left(self) -> int | None:
        """How many items are still to be taken; None if that is not known."""
        ...

    def take(self, size: int) -> Chunk | None:
        """The next chunk, of at most `size` items; None if there is none (for now)."""
        ...

    def rest(self) -> Chunk | None:
        """All that was read and not taken, for a map that stops; None if there is nothing."""
        ...


class ListSource:
    """The chunks of a list that is in memory as a whole."""

    is_slow = False

    def __init__(self, items: Iterable[Any]) -> None:
        # A snapshot: a task that changes the caller's list changes nothing here.
        self._base = items if type(items) is tuple else list(items)
        self._next = 0

    @property
    def left(self) -> int:
        return len(self._base) - self._next

    def take(self, size: int) -> Chunk | None:
        start = self._next
        stop = min(start + size, len(self._base))
        if start == stop:
            return None
        self._next = stop
        return Chunk(self._base, 0, start, stop)

    def rest(self) -> Chunk | None:
        return self.take(len(self._base))


class StreamSource:
    """The chunks of an iterable that is read lazily, never more than `buffer_size` items ahead."""

    def __init__(self, items: Iterable[Any], buffer_size: int, max_chunk: int) -> None:
        self._iterator: Iterator[Any] | None = iter(items)
        self._buffer_size = buffer_size
        self._max_chunk = max_chunk
        self._read = 0
        self.delivered = 0  # set by the consumer; what was read and not delivered is buffered
        self.error: BaseException | None = None  # what the iterable raised
        self.is_slow = False

    @property
    def left(self) -> int | None:
        return None if self._iterator is not None else 0

    def take(self, size: int) -> Chunk | None:
        start = self._read
        room = self._buffer_size - (start - self.delivered)
        if self._iterator is None or room < 1:
            return None
        items: list[Any] = []
        size = min(size, room, self._max_chunk)
        part, until = 1, monotonic() + _READING_SECONDS
        self.is_slow = False
        while len(items) < size and not self.is_slow:
            wanted = min(size, len(items) + part)
            try:
                items.extend(islice(self._iterator, part))  # keeps what came before an error
            except Exception as error:
                self.error = error
            if len(items) < wanted:
                self._iterator = None
                break
            self.is_slow = monotonic() > until
            part = min(2 * part, size - len(items))
        self._read += len(items)
        return Chunk(items, start, start, self._read) if items else None

    def rest(self) -> Chunk | None:
        return None
