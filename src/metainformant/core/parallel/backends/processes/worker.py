"""The main function of a worker process, which can be signalled and dies with its parent."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from typing import Any

from ...host.patches import is_patched_by_gevent, unpatched
from ...worker import context
from ...worker.setup import Preparation
from ..ipc import pickling as pickling
from ..ipc.channel import Channel
from ..isolated.result_buffer import ResultBuffer
from ..isolated.worker import Worker
from .start import forget_start


def main(
    channel: Channel,
    buffer_segment: Any,
    lifeline: Any,
    stacks: Any,
    preparation: Preparation | None,
    func: Any,
    inner_threads: int,
    not_ours: tuple[Any, ...],
) -> None:
    """Run a worker process."""
    context.is_worker = True
    forget_start()
    pickling.main_is_ours_alone = False  # what is ours here is what our parent has sent
    for connection in not_ours:  # ends of others that were inherited by a fork
        connection.close()
    _read_nothing({part.fileno() for part in (*channel.parts, lifeline, stacks) if part})
    worker = Worker(channel, ResultBuffer(buffer_segment))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform != "win32":
        # Away from the terminal, whose Ctrl-C is for the parent; and whatever a task starts can be
        # killed together with it.
        os.setsid()
        _kill_with(lifeline)
        # What a fork, or the thread that started this process, may have handed down.
        signal.set_wakeup_fd(-1)
        if callable(signal.getsignal(signal.SIGTERM)):
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        # With gevent, what a handler raises comes up in its hub. There, overdue calls are killed.
        on_signal = signal.SIG_IGN if is_patched_by_gevent() else worker.on_signal
        signal.signal(signal.SIGURG, on_signal)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGURG, signal.SIGINT])
        import faulthandler

        os.set_blocking(stacks.fileno(), False)  # nobody may ever read it
        faulthandler.register(signal.SIGURG, file=stacks.fileno(), all_threads=False, chain=True)
    # Not a greenlet, which would wait in the place of all.
    unpatched("_thread", "start_new_thread")(_die_with, (lifeline,))
    limit_threads(inner_threads)
    worker.serve(preparation, func)


def _read_nothing(in_use: set[int]) -> None:
    """Let tasks and their children find nothing in the standard input, which is the parent's."""
    if 0 in in_use:  # the parent had none
        return
    null = os.open(os.devnull, os.O_RDONLY)
    if null:
        os.dup2(null, 0)
        os.close(null)


def _kill_with(lifeline: Any) -> None:
    """Let the system kill this process, and what it has started, when its parent is gone.

    Only Linux can, and then no thread has to get hold of the GIL for it.
    """
    import fcntl

    if hasattr(fcntl, "F_SETSIG"):
        end = lifeline.fileno()
        fcntl.fcntl(end, fcntl.F_SETOWN, -os.getpgrp())
        fcntl.fcntl(end, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(end, fcntl.F_SETFL, fcntl.fcntl(end, fcntl.F_GETFL) | os.O_ASYNC)


def _die_with(lifeline: Any) -> None:
    """End this process, and what it has started, when its parent is gone."""
    with contextlib.suppress(EOFError, OSError):
        lifeline.recv_bytes()
        return
    if sys.platform != "win32":
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)


# The numerical libraries that were there when this process was made by a fork. It takes long to
# find them.
_found: Any = None


def find_libraries() -> None:
    """Look for numerical libraries, for the copies of this process, and let them use one thread."""
    global _found
    if _has_libraries():
        with contextlib.suppress(ImportError):
            import threadpoolctl

            _found = threadpoolctl.ThreadpoolController()
            _set_threads(1)


def limit_threads(count: int) -> None:
    """Let numerical libraries use so many threads: those to be loaded, and those that are."""
    for name in _THREAD_VARIABLES:
        os.environ[name] = str(count)
    if _found is not None:
        _set_threads(count)
    elif _has_libraries():
        with contextlib.suppress(ImportError):
            import threadpoolctl

            threadpoolctl.threadpool_limits(count)


def _has_libraries() -> bool:
    return not sys.modules.keys().isdisjoint({"numpy", "scipy", "sklearn", "torch"})


def _set_threads(count: int) -> None:
    for library in _found.lib_controllers:
        if library.num_threads != count:  # else setting it might start threads
            library.set_num_threads(count)
