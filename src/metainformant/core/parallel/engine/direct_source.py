"""Input that is read lazily by the thread that runs the engine, whenever a chunk is wanted."""

from __future__ import annotations

import math
from time import monotonic

from .source import Chunk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

# Seconds after which a chunk gets no more items: a slow input must not hold back what was read.
_READ_SECONDS = 0.005
_BUFFER_SIZE = 32_768


class DirectSource:
    """The chunks of an iterable.

    Args:
        items: what to read.
        buffer_size: how many items may be taken and not yet delivered.

    Attributes:
        error: the exception that the iterable raised.
        taken: how many items the engine has taken so far.
    """

    def __init__(self, items: Iterable[Any], buffer_size: int | None) -> None:
        self._iterator = iter(items)
        self.max_chunk: int = buffer_size or _BUFFER_SIZE
        self._buffer_size = self.max_chunk
        self._delivered = 0
        self._is_exhausted = False
        self._is_closed = False  # set by any thread
        self.error: BaseException | None = None
        self.taken: int = 0

    def forget_error(self) -> None:
        self.error = None

    def start(self, caller: str) -> None:
        """Do nothing: the first chunk is read when it is wanted."""

    @property
    def is_complete(self) -> bool:
        """Whether the engine has taken all items that the iterable had."""
        return self._is_exhausted

    @property
    def left(self) -> int | None:
        return 0 if self._is_exhausted or self._is_closed else None

    @property
    def is_held(self) -> bool:
        return self.taken - self._delivered >= self._buffer_size

    def take(self, size: int) -> Chunk | None:
        size = min(size, self._buffer_size - (self.taken - self._delivered))
        if self.left == 0 or size < 1:
            return None
        items = self._read(size)
        if not items:
            return None
        start = self.taken
        self.taken += len(items)
        return Chunk(items, start, start, self.taken)

    def _read(self, size: int) -> list[Any]:
        items: list[Any] = []
        until = monotonic() + _READ_SECONDS
        try:
            for item in self._iterator:
                items.append(item)
                if len(items) == size or monotonic() > until:
                    return items
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # raised when what was read before is delivered
            frames = error.__traceback__
            self.error = error.with_traceback(frames.tb_next if frames else None)
        self._is_exhausted = True
        return items

    def next_wakeup(self, now: float) -> float:
        return math.inf

    def rest(self) -> Chunk | None:
        return None  # nothing is read ahead

    def waiting(self, count: int) -> None:
        pass

    def close(self) -> None:
        """Let nothing more be read. Any thread may call this."""
        self._is_closed = True

    def progressed(self, delivered: int, held: int) -> None:
        """Learn how many items were delivered."""
        self._delivered = delivered
