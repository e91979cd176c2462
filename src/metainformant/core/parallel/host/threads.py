"""The start of threads, with an error that says why one can't be started."""

from __future__ import annotations

import sys
import threading

from ..errors import ParallelError
from .gil import HAS_GIL


def _may_be_daemon() -> bool:
    try:
        threading.Thread(daemon=True)
    except RuntimeError:
        return False
    return True


# Whether our threads are daemons, for which no exit waits: everywhere except in a subinterpreter,
# which has none, but whose end keeps nobody waiting either.
DAEMON = _may_be_daemon()


def launch(thread: threading.Thread, label: str) -> None:
    """Start a thread of the map `label`.

    Raises:
        ParallelError: if the system allows no more threads, or if the interpreter exits. A thread
            that is started then never gets to run, and on CPython 3.11 its start would not return.
    """
    if sys.is_finalizing():
        raise ParallelError(f"{label} can't start a thread while the interpreter exits")
    try:
        thread.start()
    except RuntimeError as error:
        # Ctrl-C while it waits for the thread to begin may also find a lock that is not held.
        if isinstance(error.__context__, KeyboardInterrupt):
            raise error.__context__ from None
        raise ParallelError(f"{label} can't start another thread: {error}") from error


def forget_dangling(thread: threading.Thread) -> None:
    """Let nothing be called when the object of an ended thread is freed. Only without the GIL.

    Failures refer to the frames in which their thread began. When such a failure is freed, CPython
    may do that in another thread, one that has the identity of the ended one; and an exception
    that is to end the call of that other thread would be lost in a weak reference's callback.
    """
    dangling = getattr(threading, "_dangling", None)  # what a fork needs of threads that still run
    if dangling is not None and not HAS_GIL:
        dangling.discard(thread)
