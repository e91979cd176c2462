"""The import of a script, after which copies of this process are as good as new ones.

They are not if there is something that a fork can't copy, or that all copies would share: threads,
and open files and connections.
"""

from __future__ import annotations

import contextlib
import gc
import os
import re
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing import process, spawn, util

# As they were before the script may have had them patched: those of gevent wait for its hub.
from os import fork, waitpid
from time import sleep
from typing import Any

from .seeds import Seeds
from .start import SERVER_NAME
from .worker import find_libraries

# Seconds in which threads that are over are gone for the system too.
_THREAD_EXIT = 0.1
# The clock of file systems is behind by as much as this.
_TICK_NS = 20_000_000
# A file that some versions of ctypes leave open, and that nobody reads.
_LIBRARY = re.compile(r"\.so(\.[0-9.]+)?$")


class CannotBeCopiedError(Exception):
    """An error that says what a copy of this process can't have."""


def import_script(preparation: dict[str, Any]) -> tuple[dict[str, Any], Callable[[], None]]:
    """Import what `multiprocessing` would import in a worker.

    Returns:
        The stamps of the files that were imported, and what to call in each copy.

    Raises:
        CannotBeCopiedError: if workers have to import the script each.
        BaseException: whatever the import raised.
    """
    started = time.time_ns() - _TICK_NS
    opened = _descriptors()
    with Seeds() as seeds:
        current: Any = process.current_process()
        current._inheriting = True
        try:
            spawn.prepare({**preparation, "name": SERVER_NAME})
        finally:
            del current._inheriting
            util._flush_std_streams()  # type: ignore[attr-defined]
    find_libraries()
    _check_threads()
    for fd in _descriptors() - opened:
        path = os.readlink(f"/proc/self/fd/{fd}")
        if not _LIBRARY.search(path):
            raise CannotBeCopiedError(f"it has left open {path}")
    files = _stamps(started)
    gc.freeze()  # or a collection in a copy would write to, and so copy, all of the memory
    return files, seeds.renew


def stamp(path: str) -> tuple[int, int] | None:
    """Return what changes when the file does. For what is in an archive, that of the archive."""
    while path:
        try:
            status = os.stat(path)
        except NotADirectoryError:
            path = os.path.dirname(path)
        except OSError:
            return None
        else:
            return status.st_mtime_ns, status.st_size
    return None


def _stamps(started: int) -> dict[str, Any]:
    """Return the stamps of all that is imported; None for what may have changed meanwhile."""
    files: dict[str, Any] = {}
    for module in list(sys.modules.values()):
        path = getattr(module, "__file__", None)
        if isinstance(path, str):
            known = stamp(path)
            files[path] = None if known is None or known[0] >= started else known
    return files


def _check_threads() -> None:
    if threading.active_count() > 1:
        raise CannotBeCopiedError("it has started threads")
    if _count_threads() == 1:
        return
    # Libraries that know of forks end their threads before one, and start others when needed.
    pid = fork()
    if not pid:
        os._exit(0)
    waitpid(pid, 0)
    until = time.monotonic() + _THREAD_EXIT
    while _count_threads() > 1:
        if time.monotonic() > until:
            raise CannotBeCopiedError("it has started threads that do not end before a fork")
        sleep(0.001)


def _count_threads() -> int:
    return len(os.listdir("/proc/self/task"))


def _descriptors() -> set[int]:
    """Return which descriptors are open, except the one that looks."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            os.fstat(int(name))
            found.add(int(name))
    return found
