"""Items on their way from the thread that reads them to the one that takes them, without a lock.

The producer appends a list before it fills it, and fills it before it appends the next one. So
the consumer sees items as they come, and a list is complete once another one stands behind it.
Only appends and pops of a deque, appends to a list and its length are shared: each is atomic.
"""

from __future__ import annotations

from collections import deque

from .source import Chunk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class BlockQueue:
    """A queue of lists of items. One thread opens and ends, one takes.

    Attributes:
        taken: the index of the next item to be taken. Owned by the consumer.
        is_ended: whether the consumer has seen the end.
    """

    def __init__(self) -> None:
        self._blocks: deque[list[Any] | None] = deque()  # None: that was all
        self._current: list[Any] = []
        self._origin = 0  # index of the first item of the current block
        self.taken: int = 0
        self.is_ended: bool = False

    # The producer's side

    def open_block(self) -> list[Any]:
        """Return a new list, to be filled by the producer."""
        block: list[Any] = []
        self._blocks.append(block)
        return block

    def end(self) -> None:
        """Let nothing more come."""
        self._blocks.append(None)

    # The consumer's side

    def take(self, size: int) -> Chunk | None:
        """Return a chunk of at most `size` items; None if there is none, for now or for good."""
        while True:
            more = bool(self._blocks)  # must be seen first: then the current one is complete
            start = self.taken
            stop = min(start + size, self._origin + len(self._current))
            if start < stop:
                self.taken = stop
                return Chunk(self._current, self._origin, start, stop)
            if not more:
                return None
            self._origin += len(self._current)
            block = self._blocks.popleft()
            self.is_ended = block is None
            self._current = [] if block is None else block
