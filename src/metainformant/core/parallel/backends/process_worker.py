"""What a worker process does besides its work: it can be signalled, and dies with its parent."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from typing import Any

from ..prepare import Preparation
from .remote.channel import Channel
from .remote.slate import Slate
from .remote.worker import Worker

# Whether this process is a worker. Maps in it use no further processes.
is_worker = False


def main(
    channel: Channel,
    slate_segment: Any,
    lifeline: Any,
    stacks: Any,
    preparation: Preparation | None,
    func: Any,
    inner_threads: int,
    not_ours: tuple[Any, ...],
) -> None:
    """What a worker process runs."""
    global is_worker
    is_worker = True
    for connection in not_ours:  # ends of others that were inherited by a fork
        connection.close()
    worker = Worker(channel, Slate(slate_segment))
    if sys.platform != "win32":
        # Away from the terminal, whose Ctrl-C is for the parent; and whatever a task starts can be
        # killed together with it.
        os.setsid()
        signal.signal(signal.SIGURG, worker.on_signal)
        import faulthandler

        faulthandler.register(signal.SIGURG, file=stacks.fileno(), all_threads=False, chain=True)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with, args=(lifeline,), name="lifeline", daemon=True).start()
    limit_threads(inner_threads)
    worker.serve(preparation, func)


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


def limit_threads(count: int) -> None:
    """Let numerical libraries use so many threads: those to be loaded, and those that are."""
    for name in _THREAD_VARIABLES:
        os.environ[name] = str(count)
    if not sys.modules.keys().isdisjoint({"numpy", "scipy", "sklearn", "torch"}):
        with contextlib.suppress(ImportError):
            import threadpoolctl

            threadpoolctl.threadpool_limits(count)
