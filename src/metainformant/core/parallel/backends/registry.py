"""Choose the backend that a call asked for."""

from __future__ import annotations

from typing import Any

from ..engine.backend import Backend
from ..options import Plan
from .threads.backend import ThreadBackend


def watched(plan: Plan) -> Plan:
    """What the engine is to watch. The items that are run by an executor are watched there."""
    return plan if plan.executor is None else plan._replace(timeout=None, slow_after=None)


def make_backend(plan: Plan, *, stream: bool = False, keep_times: bool = False) -> Backend:
    if plan.executor is not None:
        from .futures.backend import ExecutorBackend  # slow to import
        from .futures.worker import run_request

        return ExecutorBackend(plan, plan.executor, run_request, keep_times=keep_times)
    if plan.backend != "thread":
        from .isolated.backend import RemoteBackend  # slow to import

        if plan.pool is not None:
            return RemoteBackend(plan, plan.pool, owns_pool=False, keep_times=keep_times)
        pool = make_worker_pool(plan, streams=stream)
        if pool is not None:
            return RemoteBackend(plan, pool, keep_times=keep_times)
        plan = plan._replace(max_workers=1)
    eager = stream or not plan.ordered or plan.on_complete is not None
    return ThreadBackend(plan, eager=eager, keep_times=keep_times)


def make_worker_pool(plan: Plan, *, kept: bool = False, streams: bool = False) -> Any:
    """What starts the workers of a map, or of several if they are `kept`.

    If it `streams`, that is done beside the threads of a stream.

    None in a worker of this kind itself: there, what needs no workers of its own runs in a thread,
    lest their number explode.
    """
    from ..worker import context

    if context.is_worker:
        return None
    if plan.backend == "interpreter":
        from .interpreters.pool import InterpreterPool

        return InterpreterPool(plan, kept=kept)
    from .processes.pool import ProcessPool

    return ProcessPool(plan, kept=kept, streams=streams)
