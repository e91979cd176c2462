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
from ..host.gil import HAS_GIL
from ..host.threads import DAEMON, launch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..host.programs import Programs

# Seconds that a worker waits for an exception that was sent and should be there at once. It is not
# if the task has caught it, for example with a bare `except`.
_MAX_SETTLE_SECONDS = 1.0
# Seconds between two looks at calls that could not be ended yet: so many times, and then ever more.
_FIRST_PAUSE, _FIRST_LOOKS = 0.005, 100
_PAUSE_GROWTH, _MAX_PAUSE = 1.05, 1.0
# How often an exception is sent again that did not end the call.
_MAX_RESENDS = 3
_NAME = "end overdue calls"  # of the thread that takes these looks

# Whether this is a subinterpreter, which may not ask for signal handlers: those are the objects of
# another interpreter. Those that have none of our workers' main function have no daemon threads.
is_subinterpreter: bool = not DAEMON

# The call that an exception was sent to, by thread. Set by the sender, popped when the exception
# is made in that thread.
_sent: dict[int, Interruptible] = {}


class TaskEnded(BaseException):  # not an error: nobody except the worker should see it
    """The exception that ends an abandoned call. Don't catch it, or the call goes on."""

    def __init__(self) -> None:
        super().__init__()
        self._call = _sent.pop(threading.get_ident(), None)

    def __del__(self) -> None:
        if self._call is not None:
            self._call.is_lost = True


class Interruptible:
    """The end of a job in which an exception may be sent to its thread.

    The sender and the worker race for one token. If the worker gets it, when its call has
    returned, nothing is ever sent. If the sender does, the worker stays until the exception has
    arrived. So it can hit the call, or this class, but nothing that comes after.

    Attributes:
        is_lost: whether the exception that was sent exists no more. The worker holds the one that
            has ended its call until it has set `is_over`: so if that is not set, the call caught
            the exception, or it was raised where Python ignores exceptions (`__del__`, say).
        is_over: whether nothing may be sent any more. Set by the worker.
    """

    def __init__(self, thread: threading.Thread, programs: Programs | None = None) -> None:
        self._thread = thread
        self._programs = programs
        self._tokens = [None]  # whoever pops the only one decides; list.pop is atomic
        self._resends = _MAX_RESENDS
        self._had_programs = False  # owned by the sender
        self.is_lost: bool = False
        self.is_over: bool = False

    def send(self) -> bool:
        """End what the thread is calling, if that is possible and it has not returned yet.

        Return False if this is not the moment: later may be.
        """
        ident = self._thread.ident
        if ident is None or not self._tokens:
            return True
        # First: from when the exception is set, the call may end at any time, and its thread too.
        programs = [] if self._programs is None else self._programs.running()
        if not _takes_exceptions(ident):
            return False
        try:
            self._tokens.pop()
        except IndexError:
            return True
        _sent[ident] = self
        if _set_exception(ident):
            # A call that waits for one is over as soon as it wakes.
            if self._programs is not None and self._programs.kill(programs):
                self._had_programs = True
            _wake(ident)
        return True

    def send_again(self) -> bool:
        """Send another exception if the last one was lost; return False if it has to be later."""
        if not self.is_lost or self.is_over or not self._resends:
            return True
        self._resends -= 1
        self.is_lost = False
        self._tokens.append(None)  # as if none had been sent
        return self.send()

    def end_programs(self) -> bool:
        """Kill the programs that the call has started; return whether there have been any."""
        if self._programs is not None and not self.is_over and self._programs.kill():
            self._had_programs = True
        return self._had_programs

    @property
    def has_ended(self) -> bool:
        return self.is_over or not self._thread.is_alive()

    def settle(self) -> None:
        """Called by the worker after its call: returns when nothing can arrive any more."""
        until = time.monotonic() + _MAX_SETTLE_SECONDS
        while time.monotonic() < until:
            try:
                self._tokens.pop()
            except IndexError:
                time.sleep(0.001)
            else:
                break
        self.is_over = True


class _Pending:
    """A call that has not ended yet."""

    def __init__(self, call: Interruptible, is_sent: bool) -> None:
        self.call = call
        self.is_sent = is_sent
        self.looks = 0
        self.next_look = time.monotonic() + _FIRST_PAUSE

    def look(self, now: float) -> bool:
        """Try to end the call; return whether to look again."""
        self.looks += 1
        self.next_look = now + pause_after(self.looks)
        if self.call.has_ended:
            return False
        self.is_sent = self.call.send_again() if self.is_sent else self.call.send()
        self.call.end_programs()
        return not self.is_sent or self.looks < _FIRST_LOOKS


def pause_after(looks: int) -> float:
    """Return the seconds between two looks at a call that was looked at so often."""
    return min(_MAX_PAUSE, _FIRST_PAUSE * _PAUSE_GROWTH ** max(0, min(looks, 500) - _FIRST_LOOKS))


class Sender:
    """Ends calls of one map, and those that can't be ended yet a little later.

    Its methods are called by the engine's thread. For calls that have to wait for their moment
    there is a thread, while there are any.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pending: list[_Pending] = []  # under the lock, as is whether a thread looks at them
        self._has_thread = False
        self._is_more = threading.Event()  # whether one was added; set by the engine's thread

    def end(self, call: Interruptible) -> None:
        is_sent = call.send()
        had_programs = call.end_programs()
        # With the GIL, an exception that was sent is hardly ever lost.
        if is_sent and HAS_GIL and not had_programs:
            return
        with self._lock:
            self._pending.append(_Pending(call, is_sent))
            self._is_more.set()
            if self._has_thread:
                return
            self._has_thread = True
        try:
            launch(threading.Thread(target=self._look_again, name=_NAME, daemon=DAEMON), _NAME)
        except ParallelError:  # no thread to be had for now, or the interpreter exits
            with self._lock:
                self._has_thread = False

    def _look_again(self) -> None:
        while True:
            with self._lock:
                if not self._pending:
                    self._has_thread = False
                    return
                at = min(pending.next_look for pending in self._pending)
                self._is_more.clear()
            self._is_more.wait(max(0.0, at - time.monotonic()))
            now = time.monotonic()
            with self._lock:
                due = [pending for pending in self._pending if pending.next_look <= now]
            ended = [pending for pending in due if not pending.look(now)]
            with self._lock:
                self._pending = [pending for pending in self._pending if pending not in ended]


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
    """Return whether our handler of SIGURG is set, which only the main thread can do.

    It never replaces another one, and once set it stays.
    """
    if sys.is_finalizing():  # nothing can be imported any more, and no thread started
        return False
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


def prepare_wakes() -> None:
    """Set the handler of SIGURG, if this is the main thread and it can end blocked calls.

    No other thread can, and most calls that become overdue are watched by another.
    """
    if sys.version_info >= (3, 15) and sys.platform != "win32" and not is_subinterpreter:
        takes_wakes()


prepare_wakes()  # the main thread may never run a map itself
