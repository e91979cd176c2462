"""Whether threads of this process wait in calls of the system, seen from outside, on Linux.

A thread that waits for the GIL waits in the system too: for a futex, at an address that is the
same for all of them. That address is learnt from a thread that surely waits for it.

Looking must not let go of the GIL: each thread that wants it would then wait less, and we more.
So files are read through `ctypes.PyDLL`, whose calls keep it.
"""

from __future__ import annotations

import os
import sys
import threading
from time import monotonic, sleep

from .gil import HAS_GIL
from .threads import DAEMON

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# Numbers of the call futex, by machine.
_FUTEX = {"x86_64": "202", "aarch64": "98"}
# The state of the GIL has several futexes, all within so many bytes.
_NEAR = 256
# Seconds for which we keep the GIL from a thread that wants it: less than its patience, 5 ms.
_KEEP_SECONDS = 0.0015
_NAP_SECONDS = 0.0003
_TRIES = 8
_LONGEST_LINE = 255


class GilWatch:
    """A view of what threads do. Owned by one thread; close it."""

    def __init__(self, read: Callable[[int], bytes], futex: str, address: int) -> None:
        self._read = read
        self._futex = futex
        self._address = address
        self._files: dict[int, int] = {}  # by native id of the thread

    def look(self, threads: Iterable[int]) -> tuple[int, int, int]:
        """Count threads that wait in calls of the system, that wait for the GIL, that are ready.

        The latter compute, or wait for a processor.
        """
        in_calls = gil = ready = 0
        for thread in threads:
            fields = self._fields(thread)
            if not fields:  # it has ended
                continue
            if fields[0] == b"running":
                ready += 1
            elif self._is_gil(fields):
                gil += 1
            else:
                in_calls += 1
        return in_calls, gil, ready

    def _fields(self, thread: int) -> list[bytes]:
        file = self._files.get(thread)
        if file is None:
            try:
                file = self._files[thread] = _open(thread)
            except OSError:
                return []
        return self._read(file).split()

    def _is_gil(self, fields: list[bytes]) -> bool:
        address = _futex_address(fields, self._futex)
        return address is not None and abs(address - self._address) <= _NEAR

    def close(self) -> None:
        while self._files:
            os.close(self._files.popitem()[1])


# The address that was learnt: the GIL of a process stays where it is, also in a fork. Written
# without a lock, since whoever learns it learns the same.
_known_address: int | None = None


def watch_gil() -> GilWatch | None:
    """Return a view of threads; None where that is impossible.

    The first time in a process takes some milliseconds.
    """
    global _known_address
    if not HAS_GIL or sys.platform != "linux" or sys.maxsize < 2**32:
        return None
    futex = _FUTEX.get(os.uname().machine)
    if futex is None:
        return None
    read = _reader()
    if _known_address is None:
        _known_address = _learn_address(read, futex)
    return None if _known_address is None else GilWatch(read, futex, _known_address)


def _learn_address(read: Callable[[int], bytes], futex: str) -> int | None:
    stop = threading.Event()

    def want() -> None:
        while not stop.is_set():
            sleep(_NAP_SECONDS)

    thread = threading.Thread(target=want, name="gil-watch", daemon=DAEMON)
    try:
        thread.start()
    except RuntimeError:  # there are too many
        return None
    try:
        return _wanted_address(thread.native_id or 0, read, futex)
    except OSError:  # this kernel does not tell
        return None
    finally:
        stop.set()
        thread.join()


def _wanted_address(thread: int, read: Callable[[int], bytes], futex: str) -> int | None:
    """Return an address at which a thread waits that wants what we keep; seen twice."""
    file = _open(thread)
    seen: list[int] = []
    try:
        for _ in range(_TRIES):
            until = monotonic() + _KEEP_SECONDS
            while monotonic() < until:
                pass
            address = _futex_address(read(file).split(), futex)
            if address is not None:
                if any(abs(address - other) <= _NEAR for other in seen):
                    return address
                seen.append(address)
            sleep(0)
    finally:
        os.close(file)
    return None


def _futex_address(fields: list[bytes], futex: str) -> int | None:
    if len(fields) < 2 or fields[0] != futex.encode():
        return None
    return int(fields[1], 16)


def _open(thread: int) -> int:
    return os.open(f"/proc/self/task/{thread}/syscall", os.O_RDONLY | os.O_CLOEXEC)


def _reader() -> Callable[[int], bytes]:
    """Return what reads a short file from its beginning, and keeps the GIL meanwhile."""
    import ctypes  # slow to import, and needed only here

    pread = ctypes.PyDLL(None).pread
    pread.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_long)
    pread.restype = ctypes.c_ssize_t
    buffer = ctypes.create_string_buffer(_LONGEST_LINE + 1)

    def read(file: int) -> bytes:
        count = pread(file, buffer, _LONGEST_LINE, 0)
        return buffer.raw[: max(0, count)]

    return read
