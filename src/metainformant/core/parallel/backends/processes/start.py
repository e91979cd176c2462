"""The start of a worker process: what it imports, and who gets Ctrl-C until it is ready."""

from __future__ import annotations

import contextlib
import multiprocessing
import operator
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

from ...errors import ParallelError
from ...host.patches import is_patched_by_eventlet
from ..isolated.main_guard import MAIN_GUARD

# What the process of a fork server is called while it imports the script.
SERVER_NAME = "metainformant-fork-server"
# The exit status of a worker whose script starts its map again while the worker imports it.
UNGUARDED = 86
# Set in the environment while a worker is started, so that a fork server that is started for it
# knows that its end will be explained.
_STARTING = "METAINFORMANT_PARALLEL_STARTING"

# The most bytes of a socket's path on all systems.
_LONGEST_SOCKET_PATH = 103
# How many file descriptors a start needs for a moment, and some more.
_DESCRIPTORS = 10


class WorkerName(str):
    """The name of a worker, and the first thing that it reads: from then on it ignores Ctrl-C."""

    __slots__ = ()

    def __reduce__(self) -> tuple[Any, ...]:
        return operator.getitem, ((_IgnoringInterrupts(), str(self)), 1)


class _IgnoringInterrupts:
    def __reduce__(self) -> tuple[Any, ...]:
        return signal.signal, (signal.SIGINT, signal.SIG_IGN)


def start(process: Any) -> None:
    """Start a process; OSError if that is not possible."""
    for wait in (0.01, 0.1, 0):
        try:
            process.start()
            return
        except (EOFError, ConnectionError):  # the fork server has died, and will be started anew
            time.sleep(wait)
    raise OSError(
        "the fork server of multiprocessing, which may import this script, ends again and again. "
        f"{MAIN_GUARD}"
    )


@contextlib.contextmanager
def starting(method: str) -> Iterator[None]:
    """Make the surroundings in which to start a process."""
    with contextlib.ExitStack() as stack:
        if method != "fork" and not main_can_be_imported():
            stack.enter_context(_no_main())
        if method != "fork":
            stack.enter_context(_default_that_is_found(method))
        if method == "forkserver":
            _check_room()
            # A fork server that can't hear of the ends of workers would never report them.
            mask = signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])
            stack.callback(signal.pthread_sigmask, signal.SIG_SETMASK, mask)
            os.environ[_STARTING] = "1"
            stack.callback(os.environ.pop, _STARTING, None)
        if method == "spawn" and sys.platform != "win32":
            # Until it has its own handler, which it sets as soon as it has its name.
            from multiprocessing import resource_tracker

            resource_tracker.ensure_running()  # which would change the mask
            mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
            stack.callback(signal.pthread_sigmask, signal.SIG_SETMASK, mask)
        yield


def _check_room() -> None:
    """Raise OSError if there are too few file descriptors for a start.

    The fork server does not survive that a client connects to it and can't go on.
    """
    with contextlib.ExitStack() as stack:
        for _ in range(_DESCRIPTORS):
            stack.callback(os.close, os.open(os.devnull, os.O_RDONLY))


def has_room_for_sockets() -> bool:
    """Return whether the path of a socket in the folder for temporary files is short enough."""
    folder = multiprocessing.current_process()._config.get("tempdir")  # type: ignore[attr-defined]
    if folder is None:
        folder = os.path.join(tempfile.gettempdir(), "pymp-12345678")
    return len(os.fsencode(os.path.join(folder, "listener-12345678"))) <= _LONGEST_SOCKET_PATH


def main_can_be_imported() -> bool:
    """Return whether a worker finds the code of `__main__`: it is a script or a module.

    It is not in a notebook, an interactive session, `python -c`, a script from stdin, or the
    `__main__.py` of a package, a folder or an archive.
    """
    main = sys.modules["__main__"]
    name = getattr(getattr(main, "__spec__", None), "name", None)
    if name is not None:
        return str(name).rpartition(".")[2] != "__main__"  # which multiprocessing does not import
    path = getattr(main, "__file__", None)
    return path is not None and os.path.isfile(path)


@contextlib.contextmanager
def _no_main() -> Iterator[None]:
    """Don't let a worker look for a file like "<stdin>", which would be the end of it."""
    main: Any = sys.modules["__main__"]
    path = getattr(main, "__file__", None)
    if path is None:
        yield
        return
    del main.__file__
    try:
        yield
    finally:
        main.__file__ = path


@contextlib.contextmanager
def _default_that_is_found(method: str) -> Iterator[None]:
    """Let a worker take over no default start method that only this process knows.

    loky sets one in its workers, and new processes fail to find it.
    """
    default = multiprocessing.get_start_method(allow_none=True)
    if default in (None, "fork", "forkserver", "spawn"):
        yield
        return
    multiprocessing.set_start_method(method, force=True)
    try:
        yield
    finally:
        multiprocessing.set_start_method(default, force=True)


def forget_start() -> None:
    """In a worker: what it starts itself is not started for a map."""
    os.environ.pop(_STARTING, None)


def check_may_start(label: str) -> None:
    """Raise an error where workers can't be started.

    That is a script that is being imported by a worker, or a process that may have no children.
    """
    process = multiprocessing.current_process()
    if process.daemon:
        raise ParallelError(
            f"{label} can't start processes in a worker of multiprocessing.Pool, or any daemonic "
            "process, whose children would be left behind when it is killed. Use threads there, or "
            "a concurrent.futures.ProcessPoolExecutor outside"
        )
    if is_patched_by_eventlet():
        raise ParallelError(
            f"{label} can't wait for processes with the patches of eventlet.monkey_patch(). Call "
            "eventlet.monkey_patch(select=False, socket=False, thread=False), or use threads"
        )
    if not getattr(process, "_inheriting", False):
        return
    if process.name.startswith(SERVER_NAME):
        raise SystemExit(1)  # then workers import the script themselves
    # What was started for a map says nothing: whoever started it sees that it ended, and says why.
    if process.name.startswith(f"{label}-"):
        sys.stdout.flush()
        os._exit(UNGUARDED)  # a fork server would make another status of SystemExit
    if process.name == "MainProcess" and _STARTING in os.environ:  # the fork server itself
        raise SystemExit(UNGUARDED)
    raise ParallelError(f"{label} was called while a new process imports this script. {MAIN_GUARD}")
