"""Maps in the workers of a Dask cluster, each as its documents show it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from .table import Table, library

Func = Callable[[Any], Any]
Items = Sequence[Any]


def _joblib(func: Func, items: Items, client: Any) -> list[Any]:
    joblib = library("joblib")
    with joblib.parallel_config("dask"):
        return list(joblib.Parallel()(joblib.delayed(func)(item) for item in items))


def _client_map(func: Func, items: Items, client: Any) -> list[Any]:
    results: list[Any] = client.gather(client.map(func, items, pure=False))
    return results


# Tasks that are in flight at the same time: one that runs and one that is ready, per worker.
_WINDOW = 4


def _window(func: Func, items: Items, client: Any) -> list[Any]:
    """Submit item by item, no more than a few ahead, as one writes by hand for large items."""
    futures: deque[Any] = deque()
    results: list[Any] = []
    for item in items:
        if len(futures) == _WINDOW:
            results.append(futures.popleft().result())
        futures.append(client.submit(func, item, pure=False))
    return results + [future.result() for future in futures]


CLUSTERS: Table = {
    "joblib, Dask": _joblib,
    "client.map, Dask": _client_map,
    "client.submit window": _window,
}
