"""Ending a call in another thread, where CPython allows it.

An exception that is set asynchronously (`PyThreadState_SetAsyncExc`) ends pure Python code at the
thread's next bytecode. Before CPython 3.13 that is not done: there, an exception that waits for a
blocked thread makes every other thread check for it at each step, and under a tracer (coverage, a
debugger) none of them gets on at all. On CPython 3.15 and later a signal directed at the
thread also wakes it from blocking calls (sleep, recv, select, waiting for a subprocess). Waiting
for a lock or an event is ended on no version.

Who sends must know that the thread cannot have gone on to something else: see `Interruptible`.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time


class TaskEnded(BaseException):  # not an error: nobody but the worker should see it
    """Raised in a call that was given up. Don't catch it, or the call goes on."""


# Seconds that a worker waits for an exception that was sent and should be there at once. It is not
# if the task has caught it, for example with a bare `except`.
_LONGEST_WAIT = 1.0


class Interruptible:
    """The end of a job in which an exception may be sent to its thread, once.

    The sender and the worker race for one token. If the worker gets it, when its call has
    returned, nothing is ever sent. If the sender does, the worker stays until the exception has
    arrived. So it can hit the call, or this class, but nothing that comes after.
    """

    def __init__(self) -> None:
        self._tokens = [None]  # whoever pops the only one decides; list.pop is atomic

    def send(self, thread: threading.Thread) -> None:
        """End what `thread` is calling, if that is possible and it has not returned yet."""
        try:
            self._tokens.pop()
        except IndexError:
            return
        if thread.ident is not None and _set_exception(thread.ident):
            _wake(thread.ident)

    def leave(self) -> None:
        """Called by the worker after its call: returns when nothing can arrive any more."""
        try:
            self._tokens.pop()
        except IndexError:
            until = time.monotonic() + _LONGEST_WAIT
            while time.monotonic() < until:
                time.sleep(0.001)


def _set_exception(ident: int) -> bool:
    if sys.version_info < (3, 13):
        return False
    try:
        import ctypes

        set_exception = ctypes.pythonapi.PyThreadState_SetAsyncExc
    except (ImportError, AttributeError):  # not CPython, or built without ctypes
        return False
    return bool(set_exception(ctypes.c_ulong(ident), ctypes.py_object(TaskEnded)) == 1)


def _wake(ident: int) -> None:
    """Interrupt a blocking system call, on versions that then see the exception."""
    # SIGURG is ignored unless somebody handles it, so it does no harm if it comes too late.
    if sys.version_info < (3, 15) or sys.platform == "win32" or not _handles(signal.SIGURG):
        return
    with contextlib.suppress(ProcessLookupError):
        signal.pthread_kill(ident, signal.SIGURG)


def _handles(number: signal.Signals) -> bool:
    """Whether a handler of ours is there. It never replaces another, and once set it stays."""
    handler = signal.getsignal(number)
    if handler is signal.SIG_DFL and threading.current_thread() is threading.main_thread():
        try:
            signal.signal(number, _do_nothing)
        except ValueError:  # not the main interpreter
            return False
        return True
    return handler is _do_nothing


def _do_nothing(number: int, frame: object) -> None:
    pass
