"""What all public maps share: an engine with the right backend, for a list or for a stream."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from time import monotonic
from typing import Any

from . import validate
from .backend import Backend
from .backends.threads import ThreadBackend
from .batch import PerBatch, batched, flatten, of_batch
from .engine import Engine
from .plan import Plan, make_plan
from .reporting import check_display
from .results import Piece, collect, in_order, told
from .source import ListSource

# Seconds between two looks at unfinished chunks: where users see when an item is finished, and
# where they only see a count.
LOOK = 0.005
_GLANCE = 0.1


def run_list(
    plan: Plan, items: Iterable[Any], gather: Callable[[Iterable[Piece], int], list[Any]]
) -> list[Any]:
    """Run a map over items that are read whole, and `gather` its pieces to its results."""
    began = monotonic()
    check_display(plan)
    source = ListSource(items)
    total = source.left
    backend = make_backend(plan)
    engine = Engine(
        watched(plan),
        source,
        backend,
        look_every=_look_every(plan),
        max_chunk=backend.max_chunk,
        total=total,
        began=began,
    )
    pieces = engine.pieces()
    try:
        results = gather(told(pieces, plan.on_complete), total)
    finally:
        pieces.close()
    engine.raise_failure(results)
    return results


def run_map(plan: Plan, items: Iterable[Any]) -> list[Any]:
    """Run a map over items that are read whole; return its results."""

    def gather(pieces: Iterable[Piece], total: int) -> list[Any]:
        return collect(pieces, total, ordered=plan.ordered, on_error=plan.on_error)

    return run_list(plan, validate.check_items(plan.caller, items), gather)


def run_batches(
    caller: str,
    func: Callable[..., Any],
    items: Iterable[Any],
    batch_size: object,
    options: Mapping[str, object],
    **arguments: Any,
) -> list[Any]:
    """Run a map over batches of items; return all results as one list. Checks its arguments."""
    size = validate.whole(caller, "batch_size", batch_size)
    validate.check_function(caller, func)
    plan = make_plan(caller, PerBatch(func), options, **arguments)
    plan = plan._replace(on_complete=of_batch(plan.on_complete))

    def gather(pieces: Iterable[Piece], _: int) -> list[Any]:
        return flatten(in_order(pieces) if plan.ordered else pieces, plan.on_error)

    return run_list(plan, batched(validate.check_items(caller, items), size), gather)


def watched(plan: Plan) -> Plan:
    """What the engine is to watch. The items that are run by an executor are watched there."""
    return plan if plan.executor is None else plan._replace(timeout=None, slow_after=None)


def make_backend(plan: Plan, *, stream: bool = False, keep_times: bool = False) -> Backend:
    if plan.executor is not None:
        from .backends.executor import ExecutorBackend  # slow to import
        from .faraway import run_order

        return ExecutorBackend(plan, plan.executor, run_order, keep_times=keep_times)
    if plan.backend != "thread":
        from .backends.remote.backend import RemoteBackend  # slow to import

        if plan.staff is not None:
            return RemoteBackend(plan, plan.staff, owns_staff=False, keep_times=keep_times)
        staff = make_staff(plan, streams=stream)
        if staff is not None:
            return RemoteBackend(plan, staff, keep_times=keep_times)
        plan = plan._replace(max_workers=1)
    eager = stream or not plan.ordered or plan.on_complete is not None
    return ThreadBackend(plan, eager=eager, keep_times=keep_times)


def make_staff(plan: Plan, *, kept: bool = False, streams: bool = False) -> Any:
    """What starts the workers of a map, or of several if they are `kept`.

    If it `streams`, that is done beside the threads of a stream.

    None in a worker of this kind itself: there, what needs no workers of its own runs in a thread,
    lest their number explode.
    """
    from .backends import process_worker

    if process_worker.is_worker:
        return None
    if plan.backend == "interpreter":
        from .backends.interpreters import Interpreters

        return Interpreters(plan, kept=kept)
    from .backends.processes import Processes

    return Processes(plan, kept=kept, streams=streams)


def _look_every(plan: Plan) -> float | None:
    # Failures are counted and retried as they come: those of a chunk must not wait for its end.
    if not plan.ordered or plan.max_failures is not None or plan.retries or plan.on_complete:
        return LOOK
    return None if plan.progress is None else _GLANCE
