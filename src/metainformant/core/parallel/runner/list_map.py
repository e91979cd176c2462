"""What all public maps share: an engine with the right backend, for a list or for a stream."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from time import monotonic
from typing import Any

from .. import validate
from ..backends.registry import make_backend, watched
from ..engine.loop import Engine
from ..engine.outcome_batch import Piece
from ..engine.source import ListSource
from ..observe.progress_bar import check_display
from ..options import Plan
from .delivery import collect, told

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


def _look_every(plan: Plan) -> float | None:
    # Failures are counted and retried as they come: those of a chunk must not wait for its end.
    if not plan.ordered or plan.max_failures is not None or plan.retries or plan.on_complete:
        return LOOK
    return None if plan.progress is None else _GLANCE
