"""The size of the next chunk.

Pure: nothing here waits, locks or reads a clock. State is owned by the engine's thread.
"""

from __future__ import annotations

import math
import sys

# The constants below were picked by measuring; none of them is critical, since an idle worker
# steals what was badly distributed.

# Seconds of work that a chunk should hold. Each chunk that is submitted disturbs all threads that
# share the GIL, so that should be rare; yet items should be started nearly in input order.
_CHUNK_SECONDS = 0.25
# In a stream a chunk is also memory, several of them for each worker. So there it should hold less,
# as long as no more than so many chunks are submitted per second.
_STREAM_CHUNK_SECONDS = 0.03
_MAX_CHUNKS_PER_SECOND = 256
# Chunks near the end need not be smaller than this: what is too much is stolen.
_LAST_CHUNK_SECONDS = 0.02
# With many workers chunks must be larger, or the engine would have too many of them to hand out.
_MAX_LIST_CHUNKS_PER_SECOND = 2000
# A chunk is at most this many times larger than any that has been measured.
_GROWTH = 16
# Weight of earlier chunks in the measured speed, against the newest one.
_DECAY = 0.5
# A chunk takes at most this part of a fair share of what is left, which makes the last chunks
# small (guided self-scheduling, Polychronopoulos and Kuck 1987).
_SHARE = 0.5
# Seconds per item below which noting the time of each would cost too much: about a tenth of a
# microsecond.
_QUICK_SECONDS = 1e-5
# As many items are few: noting their times costs some 50 microseconds in all.
_FEW = 1000
# Seconds per item below which one worker that holds the GIL is as fast as several: they would
# only take turns, and each turn costs as much as many such items.
_TINY_SECONDS = 1e-6
# Nor is one worker enough if its chunks can't have so many seconds of such items: it would wait for
# the engine after each of them.
_LONG_SECONDS = 0.01


class Chunking:
    """The chunk sizes of one map, which follow the measured speed.

    Args:
        workers: how many workers at most.
        chunk_size: the size that the user has chosen; None to follow the speed.
        max_chunk: the most items that a chunk may have; None for any number.
        is_stream: whether items are read, and results dropped, as the map goes on.
        share_gil: whether the workers are threads that share the GIL.
        share_thread: whether the workers are tasks of one thread.
    """

    def __init__(
        self,
        *,
        workers: int,
        chunk_size: int | None = None,
        max_chunk: int | None = None,
        is_stream: bool = False,
        share_gil: bool = False,
        share_thread: bool = False,
    ) -> None:
        self._share_gil = share_gil
        self._workers = workers
        most = _MAX_CHUNKS_PER_SECOND if share_thread else _MAX_LIST_CHUNKS_PER_SECOND
        least = workers / most
        self._chunk_seconds = max(_CHUNK_SECONDS, least)
        self._last_chunk_seconds = max(_LAST_CHUNK_SECONDS, least)
        # Chunks of one wave, one for each worker, may have equal shares of what was left before it.
        self._wave_chunks = 0  # that are still to come
        self._wave_share = 0.0
        if is_stream:
            least = max(_STREAM_CHUNK_SECONDS, workers / _MAX_CHUNKS_PER_SECOND)
            self._chunk_seconds = min(_CHUNK_SECONDS, least)
        self._fixed_size = chunk_size
        self._max_chunk = max_chunk or sys.maxsize
        self._largest = 0  # the largest chunk measured so far
        self._items = 0.0  # items and seconds measured, older ones weighing less
        self._seconds = 0.0

    def measured(self, items: int, seconds: float) -> None:
        """Learn from a chunk that ended."""
        if items:
            self._largest = max(self._largest, items)
            self._items = self._items * _DECAY + items
            self._seconds = self._seconds * _DECAY + max(seconds, 1e-7 * items)

    def one_by_one(self) -> None:
        """Let all chunks have one item from now on, for calls of a service that has refused some.

        What becomes of each call is then seen at once.
        """
        self._fixed_size = 1

    @property
    def seconds_per_item(self) -> float:
        """The measured speed; infinite before anything was measured."""
        return self._seconds / self._items if self._items else math.inf

    @property
    def has_measured(self) -> bool:
        """Whether any chunk has ended."""
        return self._largest > 0

    def notes_times(self, start: int) -> bool:
        """Return whether the time of each item from `start` on is worth noting, if it is wanted.

        For quick ones that would take long, compared with the items themselves; but of a few one
        has all.
        """
        return start < _FEW or self.seconds_per_item >= _QUICK_SECONDS

    @property
    def one_is_enough(self) -> bool:
        """Whether a second worker would gain nothing, as long as the first one gets on."""
        seconds = self.seconds_per_item
        if not self._share_gil or seconds >= _TINY_SECONDS:
            return False
        return (self._fixed_size or self._max_chunk) * seconds >= _LONG_SECONDS

    def _share_of_wave(self, left: int) -> float:
        if not self._wave_chunks:
            self._wave_chunks, self._wave_share = self._workers, left / self._workers
        self._wave_chunks -= 1
        return self._wave_share

    def next_size(self, left: int | None) -> int:
        """Choose the size of the next chunk, if `left` items are to come (None: unknown)."""
        if self._fixed_size is not None:
            return self._fixed_size
        if not self.has_measured:
            return 1
        speed = 1 / self.seconds_per_item
        size = self._chunk_seconds * speed
        if left is not None and not self.one_is_enough:
            enough = self._last_chunk_seconds * speed
            if self._last_chunk_seconds > _LAST_CHUNK_SECONDS:
                enough = min(enough, max(self._share_of_wave(left), _LAST_CHUNK_SECONDS * speed))
            size = min(size, max(left * _SHARE / self._workers, enough))
        return max(1, int(min(size, self._largest * _GROWTH, self._max_chunk)))
