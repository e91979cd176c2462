"""What all public maps share: an engine with the right backend, for a list or for a stream."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from time import monotonic
from typing import Any

from .. import validate
from ..backends.registry import make_backend, watched
from ..engine.loop import Engine
from ..engine.outcome_batch import OutcomeBatch
from ..engine.source import ListSource
from ..observe.progress_bar import check_display
from ..options import Plan
from .delivery import collect, notify

# Seconds between two looks at unfinished chunks: where users see when an item is finished, and
# where they only see a count.
POLL_INTERVAL = 0.005
_GLANCE = 0.1


def run_list(
    plan: Plan, items: Iterable[Any], gather: Callable[[Iterable[OutcomeBatch], int], list[Any]]
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
        poll_interval=_poll_interval(plan),
        max_chunk=backend.max_chunk,
        total=total,
        began=began,
    )
    batches = engine.batches()
    try:
        results = gather(notify(batches, plan.on_complete), total)
    finally:
        batches.close()
    engine.raise_failure(results)
    return results


def run_map(plan: Plan, items: Iterable[Any]) -> list[Any]:
    """Run a map over items that are read whole; return its results."""

    def gather(batches: Iterable[OutcomeBatch], total: int) -> list[Any]:
        return collect(batches, total, ordered=plan.ordered, on_error=plan.on_error)

    return run_list(plan, validate.check_items(plan.caller, items), gather)


def _poll_interval(plan: Plan) -> float | None:
    # Failures are counted and retried as they come: those of a chunk must not wait for its end.
    if not plan.ordered or plan.max_failures is not None or plan.retries or plan.on_complete:
        return POLL_INTERVAL
    return None if plan.progress is None else _GLANCE
