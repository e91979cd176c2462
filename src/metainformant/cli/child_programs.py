"""Programs that functions have started, and that would outlive the command."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple


class _Process(NamedTuple):
    pid: int
    parent: int
    session: int


def terminate_child_programs() -> None:
    """Send SIGTERM to all descendants of this process, except those in a session of their own.

    The latter were meant to go on by themselves. This needs /proc, as Linux has it, and does
    nothing elsewhere.
    """
    known = _processes()
    session = os.getsid(0) if known else 0
    parents, found = {os.getpid()}, list[_Process]()
    while children := [process for process in known if process.parent in parents]:
        parents = {process.pid for process in children}
        found += children
    for process in found:
        if process.session == session:
            with suppress(OSError):  # it has ended
                os.kill(process.pid, signal.SIGTERM)


def _processes() -> list[_Process]:
    found = []
    for file in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError):
            # The name of the program comes first, in parentheses, and may hold anything.
            _, parent, _, session, *_ = file.read_text(errors="replace").rpartition(")")[2].split()
            found.append(_Process(int(file.parent.name), int(parent), int(session)))
    return found
