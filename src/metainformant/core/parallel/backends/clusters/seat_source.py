"""What a seat may run: chunks that were sent to it, and how far each of them is permitted."""

from __future__ import annotations

import threading
from time import monotonic
from typing import TYPE_CHECKING, Any

from ...engine.source import Chunk
from .messages import Began, Kept, RunChunk, unpack_items

if TYPE_CHECKING:
    from collections.abc import Callable

    from .messages import Report

    # Takes a report; and whether it should be sent at once.
    Send = Callable[[Report, bool], object]


class SentChunk(list[Any]):
    """The items of a chunk that was sent, and how far they may be run."""

    def __init__(self, command: RunChunk) -> None:
        super().__init__(unpack_items(command.items))
        self.number: int = command.number
        self.first: int = command.first
        self.attempt: int = command.attempt
        self.permitted = 0  # items before this position may be started
        self.taken = 0  # items before this position were handed to the engine
        self.finished = 0  # items before this position have their outcomes


class SeatSource:
    """The source of a seat's engine: what is permitted and not yet taken.

    The agent's thread adds and permits; the engine's takes and gives back. The lock guards
    everything.
    """

    is_held = False
    error = None  # the map reads the input

    def __init__(self, number: int, send: Send, flush: Callable[[], object]) -> None:
        self._number = number
        self._send = send
        self._flush = flush
        self.last_take: float = 0.0  # when the engine took something; owned by its thread
        self._lock = threading.Lock()
        self._chunks: dict[int, SentChunk] = {}  # in the order in which they are run
        self._is_closed = False

    # The agent's thread

    def add(self, command: RunChunk) -> None:
        with self._lock:
            self._chunks[command.number] = SentChunk(command)

    def permit(self, number: int, stop: int) -> None:
        with self._lock:
            chunk = self._chunks.get(number)
            if chunk is not None and not self._is_closed:
                chunk.permitted = max(chunk.permitted, stop)

    def withdraw(self) -> None:
        """Permit nothing beyond what was taken."""
        with self._lock:
            for chunk in self._chunks.values():
                chunk.permitted = chunk.taken

    def forget(self, number: int) -> None:
        with self._lock:
            self._chunks.pop(number, None)

    def finish(self) -> None:
        """Let the engine end, since nothing more comes."""
        with self._lock:
            self._is_closed = True

    # The engine's thread, see `engine/source.py`

    @property
    def left(self) -> int | None:
        return 0 if self._is_closed else None

    def take(self, size: int) -> Chunk | None:
        chunk: SentChunk | None
        begins, start, stop = False, 0, 0
        with self._lock:
            for chunk in self._chunks.values():
                if chunk.taken < chunk.permitted:
                    begins, start, stop = chunk.taken == 0, chunk.taken, chunk.permitted
                    chunk.taken = stop
                    break
                if chunk.taken < len(chunk):
                    chunk = None  # those behind it have to wait
                    break
            else:
                chunk = None
        if chunk is None:
            self._flush()  # nothing more may be run before the map has heard of what was
            return None
        self.last_take = monotonic()
        if begins:
            self._send(Began(chunk.number, self.last_take), False)
        first = chunk.first
        return Chunk(chunk, first, first + start, first + stop, chunk.attempt)

    def finished(self, chunk: SentChunk, count: int) -> None:
        """Learn that the next `count` items of a chunk have their outcomes."""
        with self._lock:
            chunk.finished += count
            if chunk.finished == len(chunk):
                self._chunks.pop(chunk.number, None)

    def give_back(self, chunks: list[Chunk]) -> None:
        """Take back what the engine has not started, and tell how far each chunk may be run."""
        with self._lock:
            for chunk in chunks:
                sent: Any = chunk.base
                sent.taken = min(sent.taken, chunk.start - sent.first)
            for sent in self._chunks.values():
                sent.permitted = sent.taken
            stops = {sent.number: sent.permitted for sent in self._chunks.values()}
        self._send(Kept(self._number, stops), True)

    def next_wakeup(self, now: float) -> float:
        return float("inf")

    def close(self) -> None:
        self.finish()

    def rest(self) -> Chunk | None:
        return None  # the map has it

    def waiting(self, count: int) -> None:
        pass
