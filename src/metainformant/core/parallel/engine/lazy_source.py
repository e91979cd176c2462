"""Input that is read lazily, by a thread of its own, so that a blocked input holds nothing up.

The reader does nothing but read: it appends items to a list, and the engine looks at how long the
list is, just as it looks at how far the workers are.
"""

from __future__ import annotations

import contextvars
import math
import queue
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from time import monotonic
from typing import Any

from ..host.gil import HAS_GIL
from ..host.threads import DAEMON, launch
from .source import Chunk

# Seconds that one step of reading should take. Steps grow with the speed of the input, and what
# a step has read can be seen before it ends; but only its end wakes the engine.
_STEP_SECONDS = 0.005
# Seconds between two looks of an engine that has nothing to do at a step that has not ended.
_TICK = 0.01
# Unfinished items, and finished ones that the consumer could have, in chunks per worker.
_CHUNKS_PER_WORKER = 3
# Never less than so many items per worker wait in the buffer for an earlier one to be finished:
# one that takes a few hundred times longer than the others then stops nobody.
_HELD_PER_WORKER = 512
# The largest chunks add up to so many items.
_MAX_IN_CHUNKS = 8192


def default_buffer_size(max_workers: int, chunk_size: int | None) -> int:
    most = 4 * max_workers * chunk_size if chunk_size else 4 * _MAX_IN_CHUNKS
    return max(most, _HELD_PER_WORKER * max_workers)


class StreamSource:
    """The chunks of an iterable.

    At most `buffer_size` items have been read and not been delivered. Nor are more read than what
    keeps the workers busy, which is `_CHUNKS_PER_WORKER` for each, if one does not count those that
    wait for something else than a worker or the consumer: to be in order, or for a retry.
    """

    def __init__(
        self,
        items: Iterable[Any],
        *,
        max_workers: int,
        chunk_size: int | None,
        buffer_size: int | None,
        wake: Callable[[], None],
    ) -> None:
        self._workers = max_workers
        default = default_buffer_size(max_workers, chunk_size)
        self._buffer_size = buffer_size or default
        self.max_chunk = max(1, self._buffer_size // (4 * max_workers))
        self._wake = wake
        self._iterator = [iter(items)]  # popped by the reader, so that it drops the last reference
        self._context = contextvars.copy_context()
        # Lists of items, each appended before it is filled, and filled before the next one is
        # appended. The reader appends; the engine pops. None: that was all.
        self._blocks: deque[list[Any] | None] = deque()
        # The number of items up to which may be read, as it grows; 0: no more are wanted.
        self._grants: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._hungry = False  # whether to wake the engine when a step ends; under the lock
        self._stepping = False  # whether a step of several items is on; under the lock too
        # What the iterable raised, and whether it ended, by that or by itself; set before the None.
        self.error: BaseException | None = None
        self._is_exhausted = False
        # Owned by the engine's thread:
        self._current: list[Any] = []
        self._origin = 0  # index of the first item of the current block
        self._taken = 0  # index of the next item to be taken
        self._ended = False
        self._window = max_workers * _CHUNKS_PER_WORKER
        self._waiting = 0
        # Items delivered, and finished ones held back: written by the consumer under the lock.
        self._delivered = 0
        self._held = 0
        self._granted = 0  # under the lock

    # The engine's side

    def start(self, caller: str) -> None:
        """Start reading, for the map `caller`; ParallelError if there is no thread for that."""
        run = self._context.run
        thread = threading.Thread(target=run, args=(self._read,), name="reader", daemon=DAEMON)
        launch(thread, caller)
        self._grant()

    @property
    def left(self) -> int | None:
        return 0 if self._ended else None

    @property
    def taken(self) -> int:
        """How many items the workers have got so far."""
        return self._taken

    @property
    def is_complete(self) -> bool:
        """Whether the workers have got all that the iterable had to give."""
        return self._ended and self._is_exhausted

    def take(self, size: int) -> Chunk | None:
        size = min(size, self.max_chunk)
        window = self._workers * _CHUNKS_PER_WORKER * size
        if window != self._window:
            self._window = window
            self._grant()
        chunk = self._next(size)
        if chunk is None and not self._ended:
            with self._lock:
                self._hungry = True
            chunk = self._next(size)  # the reader may not have seen that in time
        return chunk

    def next_wakeup(self, now: float) -> float:
        with self._lock:  # so that a step that begins later sees that we are hungry
            return now + _TICK if self._stepping else math.inf

    def rest(self) -> Chunk | None:
        return self._next(sys.maxsize)

    def waiting(self, count: int) -> None:
        if count != self._waiting:
            self._waiting = count
            self._grant()

    def close(self) -> None:
        """Let the reader end, as soon as it does not wait for the input. Any thread may call it."""
        self._grants.put(0)

    def _next(self, size: int) -> Chunk | None:
        while True:
            more = bool(self._blocks)  # must be seen first: then the current one is complete
            start = self._taken
            stop = min(start + size, self._origin + len(self._current))
            if start < stop:
                self._taken = stop
                return Chunk(self._current, self._origin, start, stop)
            if not more:
                return None
            self._origin += len(self._current)
            block = self._blocks.popleft()
            self._ended = block is None
            self._current = [] if block is None else block

    # The consumer's side

    def progressed(self, delivered: int, held: int) -> None:
        """Tell how many items were delivered, and how many finished ones wait for others."""
        with self._lock:
            self._delivered, self._held = delivered, held
            self._grant_more()

    def _grant(self) -> None:
        with self._lock:
            self._grant_more()

    def _grant_more(self) -> None:
        """Let the reader read as far as the consumer and the workers have got."""
        delivered = self._delivered
        wanted = delivered + self._held + self._waiting + self._window
        allowed = min(delivered + self._buffer_size, wanted)
        if allowed > self._granted:
            self._granted = allowed
            self._grants.put(allowed)

    # The reader

    def _read(self) -> None:
        iterator = self._iterator.pop()
        read = allowed = 0
        part = 1
        try:
            while True:
                while read >= allowed or not self._grants.empty():
                    allowed = self._grants.get()
                    if not allowed:
                        return
                block: list[Any] = []
                wanted = min(part, allowed - read)
                self._blocks.append(block)
                self._begins(wanted > 1)
                began = monotonic()
                _fill(block, islice(iterator, wanted))
                read += len(block)
                if len(block) < wanted:
                    self._is_exhausted = True
                    return
                seconds = monotonic() - began
                part = 2 * part if seconds < _STEP_SECONDS / 2 else max(1, part // 2)
                self._ends()
        except BaseException as error:
            self.error = _without_our_frame(error)
            self._is_exhausted = True
        finally:
            del iterator
            self._blocks.append(None)
            self._ends()

    def _begins(self, is_long: bool) -> None:
        """Tell that a step begins. An engine that waits looks into a long one from time to time."""
        with self._lock:
            self._stepping = is_long
            must_wake = is_long and self._hungry
        if must_wake:
            self._wake()

    def _ends(self) -> None:
        """Tell that a step has ended, if there was one."""
        with self._lock:
            self._stepping = False
            must_wake, self._hungry = self._hungry, False
        if must_wake:
            self._wake()


def _without_our_frame(error: BaseException) -> BaseException:
    """Drop the frame that caught `error` from its traceback: that leads to what keeps the error."""
    frames = error.__traceback__
    return error.with_traceback(frames.tb_next if frames else None)


def _fill_one_by_one(block: list[Any], items: Iterator[Any]) -> None:
    for item in items:
        block.append(item)  # noqa: PERF402  # see below


# Without the GIL, `extend` keeps the list locked, and the engine could not look while it waits.
_fill: Callable[[list[Any], Iterator[Any]], None] = list.extend if HAS_GIL else _fill_one_by_one
