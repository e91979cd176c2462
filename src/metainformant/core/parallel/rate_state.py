"""How far rate limits are used up: in the memory of their process, or in a file for several.

A start takes its units from several limits at once, or from none, so all of them are held while it
looks and takes. That takes a microsecond, and ten if there is a file.
"""

from __future__ import annotations

import contextlib
import math
import os
import struct
import sys
import tempfile
import threading
import time
import weakref
from contextlib import contextmanager

from .errors import ParallelError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

# Over the states of all limits of this interpreter; a signal handler may come while it is held. The
# files have locks of their own, which are taken after it and in the order of their paths, so that
# no two processes wait for each other.
_lock = threading.RLock()

_FIELDS = struct.Struct("dd")
# So many limits of a process have files after a fork: a program may have thousands of limits.
_MOST_FILES = 64

if sys.platform == "win32":
    import msvcrt

    def _lock_file(descriptor: int) -> None:
        while True:
            try:
                os.lseek(descriptor, 0, os.SEEK_SET)
                return msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
            except OSError:
                time.sleep(0.0001)

    def _unlock_file(descriptor: int) -> None:
        os.lseek(descriptor, 0, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    # The lock belongs to whoever has opened the file, be it a process or a subinterpreter; a forked
    # child has to open it again.
    def _lock_file(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX)

    def _unlock_file(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


class State:
    """The use made of a limit; shared by a limit and its copies. To be used under `held`.

    Attributes:
        empty_at: when the limit had no units left, which then come back at its rate; in the future
            if more was taken than there was. None before the first start.
        paused_until: the time before which nothing is started.
        path: the file that other processes see; None if none does.
    """

    __slots__ = (
        "__weakref__",
        "_close",
        "_descriptor",
        "_process",
        "empty_at",
        "path",
        "paused_until",
    )

    def __init__(self) -> None:
        self.empty_at: float | None = None
        self.paused_until: float = -math.inf
        self.path: str | None = None
        self._process = os.getpid()  # whose memory this is, and who has opened the file
        self._descriptor = -1
        self._close: Callable[[], object] | None = None
        with _lock:
            _states.add(self)

    @property
    def is_foreign(self) -> bool:
        """Whether this is a copy in a forked process, which could not be shared with it."""
        return self.path is None and os.getpid() != self._process

    def share(self) -> str:
        """Let other processes see the state; return the path by which they do."""
        with _lock:
            path = self.path
            if path is None:
                descriptor, path = tempfile.mkstemp(prefix="metainformant-rate-")
                self._use(descriptor, path)
                self._write()
                weakref.finalize(self, _remove, path, os.getpid())
            return path

    @staticmethod
    def at(path: str) -> State:
        """Return the state that another process shares, or that this one has opened before."""
        with _lock:
            state = _opened.get(path)
            if state is None:
                state = State()
                try:
                    state._use(_open(path), path)
                except OSError as error:
                    raise ParallelError(
                        "a RateLimit is shared by processes of one machine, for as long as the "
                        f"process that made it has it: {error}"
                    ) from error
            return state

    def _use(self, descriptor: int, path: str) -> None:
        self._descriptor, self.path, self._process = descriptor, path, os.getpid()
        self._close = weakref.finalize(self, os.close, descriptor)
        _opened[path] = self

    def reopen(self) -> None:
        """Open the file for this process, which is a fork; if it is gone, use what there is."""
        if self.path is None or self._close is None:
            return
        close = self._close
        with contextlib.suppress(OSError):
            self._use(_open(self.path), self.path)
            close()

    def lock(self) -> None:
        """Lock the file."""
        _lock_file(self._descriptor)

    def load(self) -> None:
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        empty_at, self.paused_until = _FIELDS.unpack(os.read(self._descriptor, _FIELDS.size))
        self.empty_at = None if math.isnan(empty_at) else empty_at

    def save(self) -> None:
        """Write the file and unlock it."""
        try:
            self._write()
        finally:
            _unlock_file(self._descriptor)

    def _write(self) -> None:
        empty_at = math.nan if self.empty_at is None else self.empty_at
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        os.write(self._descriptor, _FIELDS.pack(empty_at, self.paused_until))


# All of this process, and those with files by path. Under `_lock`.
_states: weakref.WeakSet[State] = weakref.WeakSet()
_opened: weakref.WeakValueDictionary[str, State] = weakref.WeakValueDictionary()


@contextmanager
def held(states: Sequence[State]) -> Iterator[None]:
    """Keep all others from the states, in this process and in those that share them."""
    with _lock:
        shared = {state.path: state for state in states if state.path is not None}
        locked: list[State] = []
        try:
            for path in sorted(shared):
                shared[path].lock()
                locked.append(shared[path])
                shared[path].load()
            yield
        finally:
            for state in locked:
                state.save()


def _open(path: str) -> int:
    return os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0))


def _remove(path: str, process: int) -> None:
    if os.getpid() == process:
        with contextlib.suppress(OSError):
            os.unlink(path)


def _before_fork() -> None:
    """Share all states with the child, which must not find them locked by a thread it has not."""
    _lock.acquire()
    for state in tuple(_states):
        if len(_opened) >= _MOST_FILES:
            break
        with contextlib.suppress(OSError):  # there is no room; the child's copy says so when used
            state.share()


def _begin_fork() -> None:
    """Open the files anew before anybody closes what this process has inherited."""
    for state in tuple(_states):
        state.reopen()
    _lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork, after_in_parent=_lock.release, after_in_child=_begin_fork
    )
