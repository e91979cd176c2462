"""Maps over threads that keep their results on disk: a second run does only what is left."""

from __future__ import annotations

import json
import os
import shelve
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import IO, Any

from .table import Table, library

Func = Callable[[Any], Any]
Items = Sequence[Any]

_SYNC_EVERY = 0.1  # seconds


def _pairs(func: Func, items: Items, workers: int, chunk: int) -> Iterator[tuple[Any, Any]]:
    with ThreadPool(workers) as pool:
        yield from zip(items, pool.imap(func, items, chunk), strict=True)


def _lines(func: Func, items: Items, workers: int, chunk: int, folder: Path) -> list[Any]:
    path = folder / "results.jsonl"
    done: dict[Any, Any] = {}
    if path.exists():
        with path.open() as file:
            done = dict(json.loads(line) for line in file)
    left = [item for item in items if item not in done]
    with path.open("a") as file:
        synced = time.monotonic()
        for pair in _pairs(func, left, workers, chunk):
            file.write(json.dumps(pair) + "\n")
            done[pair[0]] = pair[1]
            if time.monotonic() - synced >= _SYNC_EVERY:
                _sync(file)
                synced = time.monotonic()
        _sync(file)
    return [done[item] for item in items]


def _sync(file: IO[str]) -> None:
    file.flush()
    os.fsync(file.fileno())


def _shelve(func: Func, items: Items, workers: int, chunk: int, folder: Path) -> list[Any]:
    with shelve.open(str(folder / "results")) as done:
        left = [item for item in items if str(item) not in done]
        for item, result in _pairs(func, left, workers, chunk):
            done[str(item)] = result
        return [done[str(item)] for item in items]


def _diskcache(func: Func, items: Items, workers: int, chunk: int, folder: Path) -> list[Any]:
    with closing(library("diskcache").Cache(folder)) as cache, ThreadPool(workers) as pool:
        return pool.map(cache.memoize()(func), items, chunk)


def _joblib(func: Func, items: Items, workers: int, chunk: int, folder: Path) -> list[Any]:
    cached = library("joblib").Memory(folder, verbose=0).cache(func)
    with ThreadPool(workers) as pool:
        return pool.map(cached, items, chunk)


CHECKPOINTS: Table = {
    "joblib.Memory": _joblib,
    "diskcache": _diskcache,
    "shelve": _shelve,
    "JSON Lines": _lines,
}
