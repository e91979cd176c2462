"""Maps in the workers of Ray, each as its documents show it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .table import Table, library

Func = Callable[[Any], Any]
Items = Sequence[Any]

# Tasks that are in flight at the same time: one that runs and one that is ready, per worker.
_WINDOW = 4


def _pool(func: Func, items: Items, pool: Any) -> list[Any]:
    results: list[Any] = pool.map(func, items)
    return results


def _window(func: Func, items: Items, pool: Any) -> list[Any]:
    ray = library("ray")
    task = ray.remote(max_retries=0)(func)
    positions: dict[Any, int] = {}
    results: list[Any] = [None] * len(items)
    for position, item in enumerate(items):
        if len(positions) >= _WINDOW:
            (ready,), _ = ray.wait(list(positions), num_returns=1)
            results[positions.pop(ready)] = ray.get(ready)
        positions[task.remote(item)] = position
    for ready, position in positions.items():
        results[position] = ray.get(ready)
    return results


RAYS: Table = {"ray.util Pool.map": _pool, "ray.wait window": _window}
