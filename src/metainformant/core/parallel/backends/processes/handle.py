"""The engine's handle of a worker process, which is signalled and killed by its pid."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
import threading
from time import monotonic
from typing import Any

from ...errors import Frame
from ...worker.frames import is_own
from ..ipc.channel import Channel
from ..ipc.shared_memory import Segment
from ..isolated.handle import WorkerHandle
from ..isolated.result_buffer import Header, ResultBuffer
from .start import UNGUARDED

# Seconds in which a process that was killed is gone, unless the system is in trouble.
_KILLED_SECONDS = 5.0

# See `no_fork`. What the garbage collector calls may close a handle.
_fork_lock = threading.RLock()


def no_fork() -> threading.RLock:
    """Return the lock that is held while a worker is forked, and while its pipes are closed.

    A fork in the middle of that would close them again, and hit whatever has their numbers by then.
    """
    return _fork_lock


def _renew_lock() -> None:
    """In the child of a fork: another thread of its parent may have the lock."""
    global _fork_lock
    _fork_lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


class ProcessHandle(WorkerHandle):
    """One worker process. Owned by the engine's thread."""

    remark = "If it does not end at once, its process is killed."

    def __init__(self, name: str, process: Any, ours: Channel, buffer: Segment, pipes: Any) -> None:
        super().__init__(name, ours, ResultBuffer(buffer))
        self._process = process
        self._lifeline, self._stacks = pipes
        self._is_killed = False
        self._why = ""
        self._parent = os.getpid()

    @property
    def pid(self) -> int:
        return self._process.pid or 0

    def sentinels(self) -> list[Any]:
        return [self._process.sentinel]

    def is_alive(self) -> bool:
        return bool(self._process.is_alive())

    def end_call(self, number: int, position: int) -> None:
        header = self.buffer.header
        header[Header.END_POSITION] = position
        header[Header.END_JOB] = number
        self._signal()

    def runs(self, number: int) -> bool:
        return self.job is not None and self.job.number == number and not self._is_killed

    def stack(self, timeout: float) -> tuple[Frame, ...]:
        if self._is_killed:
            return ()
        self._read_stack(0.0)  # what was written when an earlier call was ended
        if not self._signal():
            return ()
        text = ""
        until = monotonic() + timeout
        while not (stack := _parsed(text)) and monotonic() < until:
            text += self._read_stack(max(0.0, until - monotonic()))
        return stack

    def _read_stack(self, timeout: float) -> str:
        if not self._stacks.poll(timeout):
            return ""
        return os.read(self._stacks.fileno(), 65536).decode("utf-8", "replace")

    def _signal(self) -> bool:
        if sys.platform == "win32" or not self.is_ready:
            return False
        try:
            os.kill(self.pid, signal.SIGURG)
        except OSError:
            return False
        return True

    def kill(self, why: str = "") -> None:
        if self._is_killed or self._parent != os.getpid():  # not ours, but inherited by a fork
            return
        self._is_killed = True
        self._why = why
        if sys.platform != "win32":
            with contextlib.suppress(OSError):  # it has no group of its own yet, or all are gone
                if self.pid:
                    os.killpg(self.pid, signal.SIGKILL)
        self._process.kill()
        self._process.join(_KILLED_SECONDS)
        with no_fork():
            self._lifeline.close()
            self._stacks.close()

    def close(self) -> None:
        with no_fork():
            super().close()

    def inherited(self) -> tuple[Any, ...]:
        return (self.channel, self._lifeline, self._stacks)

    def is_unguarded(self) -> bool:
        return bool(self._process.exitcode == UNGUARDED)

    def exit_reason(self) -> str:
        if self._why:
            return self._why
        code = self._process.exitcode
        if code is None:
            return "can't be reached any more"
        if code >= 0:
            return f"exited with status {code}"
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        return f"was killed by {name}"


_FRAME = re.compile(r'^  File "(.*)", line (\d+) in (.*)$', re.MULTILINE)


def _parsed(text: str) -> tuple[Frame, ...]:
    """Read what `faulthandler` writes, without the frames of ours."""
    stack: list[Frame] = []
    for file, line, name in _FRAME.findall(text):
        if is_own(file, name):
            return tuple(reversed(stack))
        stack.append((file, int(line), name))
    return ()
