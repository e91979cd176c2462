"""Maps in the workers of a Dask cluster, each as its documents show it."""

from __future__ import annotations

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


CLUSTERS: Table = {"joblib, Dask": _joblib, "client.map, Dask": _client_map}
