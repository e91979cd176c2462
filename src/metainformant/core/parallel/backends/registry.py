"""Choose the backend that a call asked for."""

from __future__ import annotations

from typing import Any

from ..engine.backend import Backend
from ..options import MapCall
from .threads.backend import ThreadBackend


def make_backend(call: MapCall, *, stream: bool = False, keep_times: bool = False) -> Backend:
    if call.workers.executor is not None:
        from .futures.backend import ExecutorBackend  # slow to import
        from .futures.worker import run_request

        return ExecutorBackend(call, call.workers.executor, run_request, keep_times=keep_times)
    if call.workers.kind != "thread":
        from .isolated.backend import RemoteBackend  # slow to import

        if call.workers.pool is not None:
            return RemoteBackend(call, call.workers.pool, owns_pool=False, keep_times=keep_times)
        pool = make_worker_pool(call, streams=stream)
        if pool is not None:
            return RemoteBackend(call, pool, keep_times=keep_times)
        call = call.in_threads(1)
    eager = stream or not call.options.ordered or call.options.on_complete is not None
    return ThreadBackend(call, eager=eager, keep_times=keep_times)


def make_worker_pool(call: MapCall, *, kept: bool = False, streams: bool = False) -> Any:
    """What starts the workers of a map, or of several if they are `kept`.

    If it `streams`, that is done beside the threads of a stream.

    None in a worker of this kind itself: there, what needs no workers of its own runs in a thread,
    lest their number explode.
    """
    from ..worker import context

    if context.is_worker:
        return None
    if call.workers.kind == "interpreter":
        from .interpreters.pool import InterpreterPool

        return InterpreterPool(call, kept=kept)
    from .processes.pool import ProcessPool

    return ProcessPool(call, kept=kept, streams=streams)
