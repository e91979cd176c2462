"""The grant: a number that only grows, up to which a lazily read input may be read.

Pure: it is computed from what the engine and the consumer report. Whoever calls has the lock.
"""

from __future__ import annotations

# Unfinished items, and finished ones that the consumer could have, in chunks per worker.
_CHUNKS_PER_WORKER = 3
# Never less than so many items per worker wait in the buffer for an earlier one to be finished:
# one that takes a few hundred times longer than the others then stops nobody.
_HELD_PER_WORKER = 512
# The largest chunks add up to so many items.
_MAX_IN_CHUNKS = 8192


class ReadAhead:
    """Permission to read: at most `buffer_size` items are read and not delivered.

    Nor are more read than what keeps the workers busy, which is `_CHUNKS_PER_WORKER` for each.
    Items that wait to be in order, or for a retry, do not count for that.

    Attributes:
        max_chunk: the most items that a chunk may have, so that all workers find some.
    """

    def __init__(
        self, *, max_workers: int, chunk_size: int | None, buffer_size: int | None
    ) -> None:
        self._workers = max_workers
        self._buffer_size = buffer_size or _default_buffer_size(max_workers, chunk_size)
        self.max_chunk: int = max(1, self._buffer_size // (4 * max_workers))
        self._window = max_workers * _CHUNKS_PER_WORKER
        self._delivered = 0
        self._held = 0
        self._waiting = 0
        self._granted = 0

    def chunks_have(self, size: int) -> None:
        """Learn how many items the chunks have that workers get now."""
        self._window = self._workers * _CHUNKS_PER_WORKER * size

    def progressed(self, delivered: int, held: int) -> None:
        """Learn how many items were delivered, and how many finished ones wait for others."""
        self._delivered, self._held = delivered, held

    def waiting(self, count: int) -> None:
        """Learn how many items wait for another attempt."""
        self._waiting = count

    def grant(self) -> int | None:
        """Return up to how many items may be read in all, if that is more than before."""
        wanted = self._delivered + self._held + self._waiting + self._window
        allowed = min(self._delivered + self._buffer_size, wanted)
        if allowed <= self._granted:
            return None
        self._granted = allowed
        return allowed


def _default_buffer_size(max_workers: int, chunk_size: int | None) -> int:
    most = 4 * max_workers * chunk_size if chunk_size else 4 * _MAX_IN_CHUNKS
    return max(most, _HELD_PER_WORKER * max_workers)
