"""The items of a map that an earlier run has not finished; the others are replayed.

Owned by the engine's thread.
"""

from __future__ import annotations

from collections import deque

from ..checkpoint.run import Block
from ..engine.source import Chunk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ..checkpoint.finished import Outcomes
    from ..checkpoint.run import DurableRun
    from ..engine.source import Source

# Seconds until the engine asks again while too much waits to be written; the writer wakes it too.
_FULL_TICK = 0.05
_MAX_STEP = 1 << 14
# So many times in a row finished items are read before the engine gets to look at its workers.
_MAX_READS = 16


class ResumedSource:
    """Chunks of unfinished items. None crosses a span, and indexes are those of the input.

    Args:
        run: knows what is finished.
        items: the whole input, or what is left of it.

    Attributes:
        replay: called with the outcomes of finished items, as they are found. To be set before
            anything is read.
    """

    replay: Callable[[Chunk, Outcomes], None]

    def __init__(self, run: DurableRun, items: Source) -> None:
        self._run = run
        self._items = items
        self._unfinished: deque[Chunk] = deque()
        self._count = 0  # items in these
        self._step = 1  # how many items to read at once while they turn out to be finished
        self._is_behind = False  # whether there was more to read than was good at one time

    @property
    def left(self) -> int | None:
        unread = self._items.left
        return None if unread is None else unread + self._count

    @property
    def error(self) -> BaseException | None:
        return self._items.error

    @property
    def is_held(self) -> bool:
        return self._items.is_held

    def take(self, size: int) -> Chunk | None:
        if self._run.is_full:
            return None
        if not self._unfinished:
            self._read(size)
            if not self._unfinished:
                return None
        chunk = self._unfinished[0]
        stop = min(chunk.start + size, chunk.stop)
        block = chunk.base
        assert isinstance(block, Block)  # noqa: S101  # see `admit`
        self._run.begun(block, chunk.start, stop)  # first: if it fails, the items are still here
        if stop == chunk.stop:
            self._unfinished.popleft()
        else:
            self._unfinished[0] = chunk.part(stop, chunk.stop)
        self._count -= stop - chunk.start
        return chunk.part(chunk.start, stop)

    def admit(self, block: Block) -> None:
        """Take the next items of the input: replay what is finished, and keep the rest."""
        first = block.first
        for span in block.spans:
            chunk = Chunk(block, first, first + span.start, first + span.stop)
            if span.piece is None:
                self._unfinished.append(chunk)
                self._count += span.stop - span.start
            else:
                outcomes = self._run.replay(block, span)
                self.replay(chunk.with_attempt(outcomes.attempts), outcomes)

    def next_wakeup(self, now: float) -> float:
        if self._run.is_full:
            return now + _FULL_TICK
        return now if self._is_behind else self._items.next_wakeup(now)

    def close(self) -> None:
        self._items.close()

    def rest(self) -> Chunk | None:
        while not self._unfinished:
            chunk = self._items.rest()
            if chunk is None:
                return None
            self._admit_chunk(chunk)
        chunk = self._unfinished.popleft()
        self._count -= chunk.stop - chunk.start
        return chunk

    def waiting(self, count: int) -> None:
        self._items.waiting(count)

    def _read(self, size: int) -> None:
        """Read on until there is something to run."""
        self._is_behind = False
        for _ in range(_MAX_READS):
            chunk = self._items.take(max(size, self._step))
            if chunk is None:
                return
            self._admit_chunk(chunk)
            if self._unfinished:
                self._step = 1
                return
            self._step = min(2 * self._step, _MAX_STEP)
        self._is_behind = True

    def _admit_chunk(self, chunk: Chunk) -> None:
        items = chunk.items()
        chunk.forget()  # the block has them now
        self.admit(self._run.admit(items, chunk.start))
