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
from itertools import islice
from time import monotonic

from ..host.gil import HAS_GIL
from ..host.threads import DAEMON, launch
from .block_queue import BlockQueue
from .read_ahead import ReadAhead

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from .source import Chunk

# Seconds that one step of reading should take. Steps grow with the speed of the input, and what
# a step has read can be seen before it ends; but only its end wakes the engine.
_STEP_SECONDS = 0.005
# Seconds between two looks of an engine that has nothing to do at a step that has not ended.
_TICK = 0.01


class StreamSource:
    """The chunks of an iterable.

    Args:
        items: what to read.
        max_workers, chunk_size, buffer_size: see `ReadAhead`.
        wake: wakes the engine; the reader calls it.
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
        self._lock = threading.Lock()
        self._ahead = ReadAhead(  # under the lock: the engine and the consumer report to it
            max_workers=max_workers, chunk_size=chunk_size, buffer_size=buffer_size
        )
        self.max_chunk: int = self._ahead.max_chunk
        self._blocks = BlockQueue()
        self._reader = Reader(items, self._blocks, wake)
        # What the engine has reported last. Owned by its thread.
        self._size = 1
        self._waiting = 0

    @property
    def error(self) -> BaseException | None:
        """The exception that the iterable raised; final once all was taken."""
        return self._reader.error

    def forget_error(self) -> None:
        self._reader.error = None

    @property
    def is_complete(self) -> bool:
        """Whether the engine has taken all items that the iterable had."""
        return self._blocks.is_ended and self._reader.is_exhausted

    # The engine's side

    def start(self, caller: str) -> None:
        """Start reading, for the map `caller`; ParallelError if there is no thread for that."""
        self._reader.start(caller)
        with self._lock:
            self._grant()

    @property
    def left(self) -> int | None:
        return 0 if self._blocks.is_ended else None

    @property
    def taken(self) -> int:
        """The number of items that the engine has taken so far."""
        return self._blocks.taken

    @property
    def is_held(self) -> bool:
        return self._reader.is_held

    def take(self, size: int) -> Chunk | None:
        size = min(size, self.max_chunk)
        if size != self._size:
            self._size = size
            with self._lock:
                self._ahead.chunks_have(size)
                self._grant()
        chunk = self._blocks.take(size)
        if chunk is None and not self._blocks.is_ended:
            self._reader.wake_engine_later()
            chunk = self._blocks.take(size)  # the reader may not have seen that in time
        return chunk

    def next_wakeup(self, now: float) -> float:
        return now + _TICK if self._reader.is_stepping() else math.inf

    def rest(self) -> Chunk | None:
        return self._blocks.take(sys.maxsize)

    def waiting(self, count: int) -> None:
        if count != self._waiting:
            self._waiting = count
            with self._lock:
                self._ahead.waiting(count)
                self._grant()

    def close(self) -> None:
        """Let the reader end, once it does not wait for the input. Any thread may call this."""
        self._reader.stop()

    # The consumer's side

    def progressed(self, delivered: int, held: int) -> None:
        """Learn how many items were delivered, and how many finished ones wait for others."""
        with self._lock:
            self._ahead.progressed(delivered, held)
            self._grant()

    def _grant(self) -> None:
        """Let the reader read as far as the consumer and the workers have got."""
        allowed = self._ahead.grant()
        if allowed is not None:
            self._reader.allow(allowed)


class Reader:
    """The thread that reads. It stops before each item that it may not read yet.

    Attributes:
        error: the exception that the iterable raised.
        is_exhausted: whether the iterable ended, with or without that. Both are set before the
            queue ends.
        is_held: whether it waits for permission to read on. Only this thread sets it.
    """

    def __init__(self, items: Iterable[Any], blocks: BlockQueue, wake: Callable[[], None]) -> None:
        self._iterator = [iter(items)]  # popped by the thread, so that it drops the last reference
        self._blocks = blocks
        self._wake = wake
        self._context = contextvars.copy_context()
        # Up to how many items may be read, as that grows; 0: no more are wanted.
        self._grants: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._must_wake = False  # whether to wake the engine when a step ends; under the lock
        self._stepping = False  # whether a step of several items is under way; under the lock too
        self.error: BaseException | None = None
        self.is_exhausted: bool = False
        self.is_held: bool = False

    # From other threads

    def start(self, caller: str) -> None:
        run = self._context.run
        thread = threading.Thread(target=run, args=(self._read,), name="reader", daemon=DAEMON)
        launch(thread, caller)

    def allow(self, count: int) -> None:
        """Grant the reading of `count` items in all."""
        self._grants.put(count)

    def stop(self) -> None:
        self._grants.put(0)

    def wake_engine_later(self) -> None:
        """Wake the engine when the current step ends, or when a long one begins."""
        with self._lock:
            self._must_wake = True

    def is_stepping(self) -> bool:
        with self._lock:  # so that a step that begins later sees that the engine waits
            return self._stepping

    # In the thread

    def _read(self) -> None:
        iterator = self._iterator.pop()
        read = allowed = 0
        part = 1
        try:
            while True:
                while read >= allowed or not self._grants.empty():
                    self.is_held = read >= allowed
                    allowed = self._grants.get()
                    if not allowed:
                        return
                self.is_held = False
                wanted = min(part, allowed - read)
                block = self._blocks.open_block()
                self._begin_step(wanted > 1)
                began = monotonic()
                _fill(block, islice(iterator, wanted))
                read += len(block)
                if len(block) < wanted:
                    self.is_exhausted = True
                    return
                seconds = monotonic() - began
                part = 2 * part if seconds < _STEP_SECONDS / 2 else max(1, part // 2)
                self._end_step()
        except BaseException as error:
            self.error = _without_our_frame(error)
            self.is_exhausted = True
        finally:
            del iterator
            self._blocks.end()
            self._end_step()

    def _begin_step(self, is_long: bool) -> None:
        """Note that a step begins. An engine that waits looks into a long one from time to time."""
        with self._lock:
            self._stepping = is_long
            must_wake = is_long and self._must_wake
        if must_wake:
            self._wake()

    def _end_step(self) -> None:
        """Note that a step has ended, if there was one."""
        with self._lock:
            self._stepping = False
            must_wake, self._must_wake = self._must_wake, False
        if must_wake:
            self._wake()


def _without_our_frame(error: BaseException) -> BaseException:
    """Drop the frame that caught `error` from its traceback, since that frame refers to it."""
    frames = error.__traceback__
    return error.with_traceback(frames.tb_next if frames else None)


def _fill_one_by_one(block: list[Any], items: Iterator[Any]) -> None:
    for item in items:
        block.append(item)  # noqa: PERF402  # see below


# Without the GIL, `extend` keeps the list locked, and the engine could not look while it waits.
_fill: Callable[[list[Any], Iterator[Any]], None] = list.extend if HAS_GIL else _fill_one_by_one
