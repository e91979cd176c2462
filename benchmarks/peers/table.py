"""A table of peers: name -> adapter, or the reason why it can't."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from ..harness.workload import Contender, Unable

Adapter = Callable[..., Any]
Probe = Callable[[int], tuple[Any, ...]]
Table = Mapping[str, Adapter | Unable]

STANDARD = ("concurrent.futures", "multiprocessing.pool")
_MODULES = {
    "concurrent.futures": "concurrent.futures.process",
    "multiprocessing.pool": "multiprocessing.pool",
    "joblib": "joblib",
    "loky": "loky",
    "mpire": "mpire",
    "pebble": "pebble",
    "tqdm thread_map": "tqdm.contrib.concurrent",
    "joblib.Memory": "joblib",
    "joblib, Dask": "joblib",
    "client.map, Dask": "distributed",
    "client.submit window": "distributed",
    "ray.util Pool.map": "ray.util.multiprocessing",
    "ray.wait window": "ray",
    "diskcache": "diskcache",
    "shelve": "shelve",
    "JSON Lines": "json",
    "TaskGroup, semaphore": "asyncio",
    "aiometer": "aiometer",
}


def library(name: str) -> Any:
    """A module that is installed only where benchmarks are run."""
    return import_module(name)


def peers(
    table: Table, *args: Any, only: Collection[str] = (), probe: Probe | None = None
) -> list[Contender]:
    """A contender for each peer of a table, which calls its adapter with `args`.

    With `probe`, which gives the arguments for one of so many parts of the work, peers that would
    take too long are left out.
    """
    return [
        _contender(name, adapter, args, probe)
        for name, adapter in table.items()
        if not only or name in only
    ]


def _contender(
    name: str, adapter: Adapter | Unable, args: tuple[Any, ...], probe: Probe | None
) -> Contender:
    module = _MODULES[name]
    if isinstance(adapter, Unable):
        return Contender(name, "peer", adapter)
    if find_spec(module.partition(".")[0]) is None:
        return Contender(name, "peer", Unable("not installed"))
    import_module(module)  # so that no round pays for it
    part = None if probe is None else lambda share: adapter(*probe(share))
    return Contender(name, "peer", partial(adapter, *args), part)


def outcomes(results: Iterator[Any]) -> list[Any]:
    """What is left of an iterator that goes on after it has raised an item's exception."""
    found: list[Any] = []
    while True:
        try:
            found.append(next(results))
        except StopIteration:
            return found
        except Exception as error:
            found.append(error)
