"""What all public maps share: an engine with the right backend, for a list or for a stream."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from time import monotonic
from typing import Any

from .backend import Backend
from .backends.threads import ThreadBackend
from .engine import Engine
from .plan import Plan
from .reporting import check_display
from .results import Piece, told
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
    engine = Engine(
        plan,
        source,
        make_backend(plan),
        look_every=_look_every(plan),
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


def make_backend(plan: Plan, *, stream: bool = False, keep_times: bool = False) -> Backend:
    eager = stream or not plan.ordered or plan.on_complete is not None
    return ThreadBackend(plan, eager=eager, keep_times=keep_times)


def _look_every(plan: Plan) -> float | None:
    # Failures are counted and retried as they come: those of a chunk must not wait for its end.
    if not plan.ordered or plan.max_failures is not None or plan.retries or plan.on_complete:
        return LOOK
    return None if plan.progress is None else _GLANCE
