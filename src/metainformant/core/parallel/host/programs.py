"""The programs that one thread of this process has started, on Linux.

Processes of `multiprocessing` are no such programs: a thread that needs a worker of a pool starts
it for all threads that use the pool.

There the kernel tells the children of each thread in `/proc/self/task/TID/children`. Elsewhere, and
where that file is missing, no program is ever found.
"""

from __future__ import annotations

import os
import signal
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

CAN_TELL = sys.platform == "linux" and os.path.exists(f"/proc/self/task/{os.getpid()}/children")

# Processes that all threads use, whichever has started them.
_shared: set[int] = set()


def share(pid: int) -> None:
    """Let no overdue task end this process, which has just been started."""
    _shared.add(pid)


def forget(pid: int) -> None:
    """Forget that a process is shared: it has ended."""
    _shared.discard(pid)


def started_by(thread: int) -> frozenset[int]:
    """Return the process ids of the children of a thread, which is given by its native id."""
    return frozenset(_children(os.getpid(), thread)) if CAN_TELL else frozenset()


class Programs:
    """The programs that a thread has started since some time.

    Args:
        thread: the native id of the thread.
        since: when its task was started, by the monotonic clock. The kernel counts in ticks of
            about 10 ms, so what was started just before may be taken for started after.
        exempt: children that are none of these.
    """

    def __init__(self, thread: int, since: float, exempt: frozenset[int]) -> None:
        self._thread = thread
        self._exempt = exempt
        age = time.monotonic() - since
        began = time.clock_gettime(time.CLOCK_BOOTTIME) - age
        self._first_tick = int(began * os.sysconf("SC_CLK_TCK"))

    def running(self) -> list[tuple[int, int]]:
        """Return those that run, each by its process id and when it was started, in ticks."""
        children = started_by(self._thread) - self._exempt
        if not children:  # as nearly always
            return []
        return [
            (pid, tick)
            for pid in children - _shared - _of_multiprocessing()
            if (tick := _start_tick(pid)) is not None and tick >= self._first_tick
        ]

    def kill(self, known: Sequence[tuple[int, int]] = ()) -> bool:
        """Kill them and all that they have started; return whether there were any.

        Args:
            known: some of them as `running` has returned them, in case their thread has ended
                since. Then nothing tells any more that they are its children.
        """
        killed = [_kill_tree(pid, tick) for pid, tick in {*known, *self.running()}]
        return any(killed)


def _kill_tree(pid: int, tick: int) -> bool:
    """Kill a process and its descendants; return False if it has ended.

    Each is stopped before its children are looked up, so that it can start no more.
    """
    try:
        handle = os.pidfd_open(pid)
    except OSError:  # it has ended, or the system has no such handles
        return False
    try:
        if _start_tick(pid) != tick:  # the number belongs to another process by now
            return False
        signal.pidfd_send_signal(handle, signal.SIGSTOP)
        for child in list(_children(pid)):
            if (child_tick := _start_tick(child)) is not None:
                _kill_tree(child, child_tick)
        signal.pidfd_send_signal(handle, signal.SIGKILL)
    except OSError:
        return False
    finally:
        os.close(handle)
    return True


def _children(pid: int, thread: int | None = None) -> Iterator[int]:
    """Yield the children of a process, or of one of its threads; nothing if it has ended."""
    try:
        threads = [str(thread)] if thread is not None else os.listdir(f"/proc/{pid}/task")
    except OSError:
        return
    for name in threads:
        try:
            with open(f"/proc/{pid}/task/{name}/children", encoding="ascii") as file:
                yield from map(int, file.read().split())
        except OSError:
            continue


def _start_tick(pid: int) -> int | None:
    """Return when a process was started, in ticks since the system was; None if it has ended."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            # The name of the program comes second, in parentheses, and may hold anything.
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])  # a zombie is not running


def _of_multiprocessing() -> set[int]:
    """Return its processes, and the helpers that it starts once for the whole process."""
    process: Any = sys.modules.get("multiprocessing.process")
    children = set(getattr(process, "_children", ()))  # `active_children` would wait for some
    found = {getattr(child._popen, "pid", None) for child in children}
    for module, instance, attribute in (
        ("multiprocessing.resource_tracker", "_resource_tracker", "_pid"),
        ("multiprocessing.forkserver", "_forkserver", "_forkserver_pid"),
    ):
        helper = getattr(sys.modules.get(module), instance, None)
        found.add(getattr(helper, attribute, None))
    return {pid for pid in found if pid is not None}
