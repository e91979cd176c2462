"""Choose the backend that a call asked for."""

from __future__ import annotations

from ..calls import Workers
from ..worker import context

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..calls import MapCall
    from ..engine.backend import Backend
    from .clusters.cluster import Cluster
    from .clusters.ray_actors import KeptActors
    from .isolated.worker_pool import WorkerPool


def make_backend(call: MapCall, *, stream: bool = False, keep_times: bool = False) -> Backend:
    """Return what runs the chunks of a call.

    Args:
        call: what to do.
        stream: whether that is done beside the threads of a stream.
        keep_times: whether it is noted when each item was started.
    """
    workers = call.workers
    options = call.options
    notes_times_itself = workers.kind in ("thread", "asyncio")
    if not notes_times_itself and (options.notes_times or not (stream or options.ordered)):
        keep_times = True  # for the report, or for the order of completion
    if workers.executor is not None:
        from .futures.backend import ExecutorBackend  # slow to import
        from .futures.worker import run_request

        return ExecutorBackend(call, workers.executor, run_request, keep_times=keep_times)
    if workers.kind == "serial":
        from .serial import SerialBackend  # needed only by those who ask for it

        return SerialBackend(call, keep_times=keep_times)
    if workers.client is not None:
        from .clusters.backend import ClusterBackend  # slow to import

        cluster = _make_cluster(workers.client, call.caller)
        return ClusterBackend(call, cluster, keep_times=keep_times)
    if needs_pool(call):
        from .isolated.backend import IsolatedBackend  # slow to import

        pool = workers.pool or make_worker_pool(call, streams=stream)
        return IsolatedBackend(
            call, pool, owns_pool=workers.pool is None, keep_times=keep_times, can_wake=stream
        )
    eager = stream or options.on_complete is not None or options.checkpoint is not None
    if workers.kind == "asyncio":
        from .asyncio.backend import AsyncioBackend  # slow to import

        return AsyncioBackend(call, eager=eager, keep_times=keep_times, is_stream=stream)
    if workers.kind != "thread":
        call = call.replace(workers=Workers("thread", 1))
    from .threads.backend import ThreadBackend  # processes do without it

    return ThreadBackend(call, eager=eager, keep_times=keep_times, is_stream=stream)


def needs_pool(call: MapCall) -> bool:
    """Return whether the workers of a call are processes or interpreters of its own.

    Not in such a worker itself: there the call runs in a thread, lest their number explode.
    """
    return call.workers.kind in ("process", "interpreter") and not context.is_worker


def make_worker_pool(call: MapCall, *, kept: bool = False, streams: bool = False) -> WorkerPool:
    """Return what starts the workers of a map, or of several if they are `kept`.

    If it `streams`, that is done beside the threads of a stream.
    """
    if call.workers.kind == "interpreter":
        from .interpreters.pool import InterpreterPool

        return InterpreterPool(call, kept=kept)
    from .processes.pool import ProcessPool

    return ProcessPool(call, kept=kept, streams=streams)


def make_kept_workers(call: MapCall) -> WorkerPool | KeptActors | None:
    """Return what keeps the workers of a pool from one map to the next, if anything has to."""
    if call.workers.client == "ray":
        from .clusters.ray_actors import KeptActors

        return KeptActors()
    return make_worker_pool(call, kept=True) if needs_pool(call) else None


def _make_cluster(client: Any, caller: str) -> Cluster:
    if client == "ray":
        from .clusters.ray_cluster import RayCluster

        return RayCluster(caller)
    from .clusters.dask import DaskCluster

    return DaskCluster(client, caller)
