"""What goes on beside the map: Ctrl-C, and whatever is due every tenth of a second."""

from __future__ import annotations

import os
import queue
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from time import monotonic, sleep
from types import FrameType
from typing import Any, Literal, TypeVar

T = TypeVar("T")

INTERRUPTED = 130  # 128 + SIGINT, as shells have it
GRACE = 2.0
_TICK = 0.1
# The second Ctrl-C ends the process within this time, also if the output is stuck.
_LAST_WORDS = 1.0


class Attendant:
    """Use as a context manager around the map, in the main thread.

    The first Ctrl-C sets `stopping`, after which `interruptible` input has no more items, and after
    a grace period sets `cancel`: at once if nothing is in flight. The second ends the process. The
    signal handler itself only sets flags: it may find the main thread inside any lock. All else is
    done by threads of its own.

    Args:
        tick: called every tenth of a second. It may block, if the output is stuck.
        is_idle: whether nothing is in flight.
        say: prints a message for the user.
        last_words: called before the process is ended.
    """

    def __init__(
        self,
        tick: Callable[[], None],
        is_idle: Callable[[], bool],
        say: Callable[[str], None],
        last_words: Callable[[], None],
    ) -> None:
        self.stopping = False
        self.cancel = threading.Event()
        self._tick = tick
        self._is_idle = is_idle
        self._say = say
        self._last_words = last_words
        # Its put() is reentrant, which is what signal handlers need.
        self._words: queue.SimpleQueue[Literal["interrupt", "end"]] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._attend, name="attendant", daemon=True)
        self._ended = threading.Event()
        self._ticker = threading.Thread(target=self._tick_on, name="ticker", daemon=True)
        self._verdict: queue.SimpleQueue[Literal["interrupt", "end"]] = queue.SimpleQueue()
        self._enforcer = threading.Thread(target=self._enforce, name="enforcer", daemon=True)
        self._previous: Any = None
        # Only the main thread gets signals; and where they are ignored (nohup), so do we.
        self._listens = (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGINT) is not signal.SIG_IGN
        )

    def __enter__(self) -> Attendant:
        self._thread.start()
        self._ticker.start()
        self._enforcer.start()
        if self._listens:
            self._previous = signal.signal(signal.SIGINT, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        if self._listens:
            signal.signal(signal.SIGINT, self._previous)
        self._verdict.put("end")
        self._words.put("end")
        self._ended.set()
        self._thread.join()
        self._ticker.join()

    def interruptible(self, items: Iterable[T]) -> Iterator[T]:
        """Yield the items until Ctrl-C. It cannot end a read that blocks, so `cancel` has to."""
        for item in items:
            if self.stopping:
                return
            yield item

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        if self.stopping:
            self._verdict.put("interrupt")
        self.stopping = True
        self._words.put("interrupt")

    def _attend(self) -> None:
        grace_ends: float | None = None
        while True:
            try:
                word = self._words.get(timeout=_TICK)
            except queue.Empty:
                if grace_ends is not None and (monotonic() >= grace_ends or self._is_idle()):
                    self.cancel.set()
                continue
            if word == "end":
                return
            if grace_ends is not None:
                self._end_process()
            grace_ends = monotonic() + GRACE
            self._say(
                f"interrupted: waiting up to {GRACE:g} s for tasks in flight "
                "(Ctrl-C again to end at once)"
            )

    def _tick_on(self) -> None:
        while not self._ended.wait(_TICK):
            self._tick()

    def _end_process(self) -> None:
        try:
            self._last_words()
        finally:
            os._exit(INTERRUPTED)

    def _enforce(self) -> None:
        """End the process after the second Ctrl-C even if all other threads are stuck."""
        if self._verdict.get() == "interrupt":
            sleep(_LAST_WORDS)
            os._exit(INTERRUPTED)
