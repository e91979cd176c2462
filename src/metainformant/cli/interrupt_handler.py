"""Ctrl-C and its like: start no more calls, wait a moment for those in flight, and end."""

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
# Ctrl-C; `kill`, batch systems and containers; a terminal that goes away.
_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")
GRACE_SECONDS = 2.0
_POLL_SECONDS = 0.1
# The second signal ends the process within this time, also if the output is stuck.
_LAST_WORDS_SECONDS = 1.0

_Message = Literal["signal", "end"]


class InterruptHandler:
    """A context manager for the main thread, which handles Ctrl-C, SIGTERM and SIGHUP.

    A signal that is ignored when the command starts, as `nohup` and shells that start it in the
    background arrange it, stays ignored.

    The first signal sets `stopping`, after which `interruptible` input has no more items, and after
    a grace period sets `cancel`: at once if nothing is in flight. The second ends the process;
    a second SIGHUP does not, because a terminal that goes away may send several. The signal handler
    itself only sets flags, because it may find the main thread inside any lock; threads of this
    object do the rest.

    Args:
        is_idle: returns whether nothing is in flight.
        say: prints a message for the user.
        last_words: called before the process is ended; it may block if the output is stuck.
    """

    def __init__(
        self,
        is_idle: Callable[[], bool],
        say: Callable[[str], None],
        last_words: Callable[[], None],
    ) -> None:
        self.stopping: bool = False
        self.status: int = 0  # the exit status, once it is stopping: 128 + the first signal
        self.cancel: threading.Event = threading.Event()
        self._is_idle = is_idle
        self._say = say
        self._last_words = last_words
        # The put() of a SimpleQueue is reentrant, which is what signal handlers need.
        self._messages: queue.SimpleQueue[_Message] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._wait, name="interrupts", daemon=True)
        self._second: queue.SimpleQueue[_Message] = queue.SimpleQueue()
        self._enforcer = threading.Thread(target=self._enforce, name="enforcer", daemon=True)
        self._main: int | None = None  # the main thread, once a signal of its own may wake it
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> InterruptHandler:
        self._thread.start()
        self._enforcer.start()
        if threading.current_thread() is threading.main_thread():  # no other gets signals
            for number in (getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)):
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._previous[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        for number, previous in self._previous.items():
            signal.signal(number, previous)
        self._second.put("end")
        self._messages.put("end")
        self._thread.join()

    def interruptible(self, items: Iterable[T]) -> Iterator[T]:
        """Yield the items until a signal. It cannot end a read that blocks; only `cancel` does."""
        iterator = iter(items)
        while not self.stopping:
            try:
                item = next(iterator)
            except StopIteration:
                return
            if not self.stopping:
                yield item

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if not self.stopping:
            self.status = 128 + number
            self.stopping = True
            self._take_nudges()
            self._messages.put("signal")
        elif number != getattr(signal, "SIGHUP", None):
            self._second.put("signal")
            self._messages.put("signal")

    def _take_nudges(self) -> None:
        """Let SIGURG, which is ignored by default, interrupt the system calls of this thread."""
        number = getattr(signal, "SIGURG", None)
        if number is None or not hasattr(signal, "pthread_kill"):
            return
        if signal.getsignal(number) is signal.SIG_DFL:
            self._previous[number] = signal.signal(number, _do_nothing)
        if callable(signal.getsignal(number)):
            self._main = threading.get_ident()

    def _nudge(self) -> None:
        """Let the main thread see a signal that has come just before a system call that blocks.

        Python calls a handler between two bytecodes, or when a system call was interrupted. A call
        that has not quite begun is not, and may last as long as the output is stuck.
        """
        if self._main is not None:
            signal.pthread_kill(self._main, signal.SIGURG)

    def _wait(self) -> None:
        grace_ends: float | None = None
        while True:
            try:
                message = self._messages.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                if grace_ends is not None:
                    self._nudge()
                    if monotonic() >= grace_ends or self._is_idle():
                        self.cancel.set()
                continue
            if message == "end":
                return
            if grace_ends is not None:
                self._end_process()
            grace_ends = monotonic() + GRACE_SECONDS
            self._say(
                f"{self._reason()}: waiting up to {GRACE_SECONDS:g} s for tasks in flight "
                "(Ctrl-C again to end at once)"
            )

    def _reason(self) -> str:
        number = signal.Signals(self.status - 128)
        return "interrupted" if number == signal.SIGINT else f"stopped by {number.name}"

    def _end_process(self) -> None:
        try:
            self._last_words()
        finally:
            os._exit(self.status)

    def _enforce(self) -> None:
        """End the process after the second signal even if all other threads are stuck."""
        if self._second.get() == "signal":
            sleep(_LAST_WORDS_SECONDS)
            os._exit(self.status)


def _do_nothing(_number: int, _frame: FrameType | None) -> None: ...
