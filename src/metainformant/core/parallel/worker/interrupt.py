"""Ending a call in another thread, where CPython allows it.

An exception that is set asynchronously (`PyThreadState_SetAsyncExc`) ends pure Python code at the
thread's next bytecode. Before CPython 3.13, one that waits for a blocked thread makes every other
thread check for it at each step, and under a tracer (coverage, a debugger) none of them gets on at
all; so there it is sent only to a thread that is seen where it will take it at once. On CPython
3.15 and later a signal directed at the thread also wakes it from blocking calls (sleep, recv,
select, waiting for a subprocess). Waiting for a lock or an event is ended on no version.

Who sends must know that the thread cannot have gone on to something else: see `Interruptible`.
"""

from __future__ import annotations

import sys
import threading
import time

from ..errors import ParallelError
from ..host.threads import DAEMON, launch


class TaskEnded(BaseException):  # not an error: nobody but the worker should see it
    """The exception that ends an abandoned call. Don't catch it, or the call goes on."""


# Seconds that a worker waits for an exception that was sent and should be there at once. It is not
# if the task has caught it, for example with a bare `except`.
_LONGEST_WAIT = 1.0
# Seconds between two looks at calls that could not be ended yet, for so many looks; and from then
# on, for loops that are hardly ever seen where they take exceptions.
_TRY_AGAIN, _TRIES = 0.005, 100
_TRY_RARELY, _RARE_TRIES = 0.05, 100
_NAME = "end overdue calls"  # of the thread that takes these looks

# Whether this is a subinterpreter, which may not ask for signal handlers: those are the objects of
# another interpreter. Set once, before anything is sent.
is_subinterpreter = False


class Interruptible:
    """The end of a job in which an exception may be sent to its thread, once.

    The sender and the worker race for one token. If the worker gets it, when its call has
    returned, nothing is ever sent. If the sender does, the worker stays until the exception has
    arrived. So it can hit the call, or this class, but nothing that comes after.
    """

    def __init__(self, thread: threading.Thread) -> None:
        self._thread = thread
        self._tokens = [None]  # whoever pops the only one decides; list.pop is atomic

    def send(self) -> bool:
        """End what the thread is calling, if that is possible and it has not returned yet.

        Return False if this is not the moment: later may be.
        """
        ident = self._thread.ident
        if ident is None or not self._tokens:
            return True
        if not _takes_exceptions(ident):
            return False
        try:
            self._tokens.pop()
        except IndexError:
            return True
        if _set_exception(ident):
            _wake(ident)
        return True

    def settle(self) -> None:
        """Called by the worker after its call: returns when nothing can arrive any more."""
        try:
            self._tokens.pop()
        except IndexError:
            until = time.monotonic() + _LONGEST_WAIT
            while time.monotonic() < until:
                time.sleep(0.001)


class Sender:
    """Ends calls of one map, and those that can't be ended yet a little later.

    Its methods are called by the engine's thread. For calls that have to wait for their moment
    there is a thread, while there are any.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # Calls to be tried again, with how many tries are left. Under the lock, as is whether
        # there is a thread to try them.
        self._later: list[tuple[Interruptible, int]] = []
        self._is_trying = False

    def end(self, call: Interruptible) -> None:
        if call.send():
            return
        with self._lock:
            self._later.append((call, _TRIES + _RARE_TRIES))
            if self._is_trying:
                return
            self._is_trying = True
        try:
            launch(threading.Thread(target=self._try_again, name=_NAME, daemon=DAEMON), _NAME)
        except ParallelError:
            return  # no thread to be had, or the interpreter exits

    def _try_again(self) -> None:
        pause = _TRY_AGAIN
        while True:
            time.sleep(pause)
            with self._lock:
                now, self._later = self._later, []
            later = [(call, left - 1) for call, left in now if left > 1 and not call.send()]
            with self._lock:
                self._later += later
                if not self._later:
                    self._is_trying = False
                    return
                is_new = any(left > _RARE_TRIES for _, left in self._later)
            pause = _TRY_AGAIN if is_new else _TRY_RARELY


def _takes_exceptions(ident: int) -> bool:
    """Return whether an exception may be sent to the thread: see the beginning of this file."""
    if sys.version_info >= (3, 13):
        return True
    frame = sys._current_frames().get(ident)
    if frame is None or frame.f_lasti < 0:
        return False
    import opcode  # needed only where calls are overdue

    # We have the GIL, so the thread is in a call that has released it, or it stands between two
    # instructions and wants the GIL. Only calls release it (and comparisons of large arrays, which
    # do not last), so what stands at one of these is not in a call, and looks for an exception as
    # soon as it has the GIL again.
    code, at = frame.f_code.co_code, frame.f_lasti
    name = opcode.opname[code[at]]
    if name == "COMPARE_OP":  # in a hot loop, CPython 3.11 makes one of it and the jump behind it
        at = next(later for later in range(at + 2, len(code), 2) if code[later])  # 0: a cache
        name = opcode.opname[code[at]]
    return name == "RESUME" or "JUMP_BACKWARD" in name


def _set_exception(ident: int) -> bool:
    try:
        import ctypes

        set_exception = ctypes.pythonapi.PyThreadState_SetAsyncExc
    except (ImportError, AttributeError):  # not CPython, or built without ctypes
        return False
    return bool(set_exception(ctypes.c_ulong(ident), ctypes.py_object(TaskEnded)) == 1)


def _wake(ident: int) -> None:
    """Interrupt a blocking system call, on versions that then see the exception."""
    # SIGURG is ignored unless somebody handles it, so it does no harm if it comes too late.
    if sys.version_info < (3, 15) or sys.platform == "win32":
        return
    if not (is_subinterpreter or takes_wakes()):
        return
    import signal  # slow to import

    try:
        signal.pthread_kill(ident, signal.SIGURG)
    except ProcessLookupError:
        return  # it has ended


def takes_wakes() -> bool:
    """Return whether our handler of SIGURG is set. It never replaces another one, and stays."""
    import signal

    handler = signal.getsignal(signal.SIGURG)
    if handler is signal.SIG_DFL and threading.current_thread() is threading.main_thread():
        try:
            signal.signal(signal.SIGURG, _do_nothing)
        except ValueError:  # not the main interpreter
            return False
        return True
    return handler is _do_nothing


def _do_nothing(number: int, frame: object) -> None:
    pass
