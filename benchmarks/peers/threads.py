"""Maps over threads of other libraries. Each call starts its threads and ends them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from multiprocessing.pool import ThreadPool
from typing import Any

from ..harness.workload import Unable
from .table import Table, library, outcomes

Func = Callable[[Any], Any]
Items = Sequence[Any]


def _executor(func: Func, items: Items, workers: int) -> list[Any]:
    with ThreadPoolExecutor(workers) as executor:
        return list(executor.map(func, items))


def _pool(func: Func, items: Items, workers: int) -> list[Any]:
    with ThreadPool(workers) as pool:
        return pool.map(func, items)


def _joblib(func: Func, items: Items, workers: int) -> Any:
    joblib = library("joblib")
    call = joblib.delayed(func)
    return joblib.Parallel(n_jobs=workers, backend="threading")(call(item) for item in items)


def _mpire(func: Func, items: Items, workers: int) -> Any:
    with library("mpire").WorkerPool(n_jobs=workers, start_method="threading") as pool:
        return pool.map(func, items)


def _pebble(func: Func, items: Items, workers: int, chunk: int = 1) -> list[Any]:
    with library("pebble").ThreadPool(max_workers=workers) as pool:
        return list(pool.map(func, items, chunksize=chunk).result())


def _pebble_chunks(func: Func, items: Items, workers: int) -> list[Any]:
    return _pebble(func, items, workers, chunk=max(1, len(items) // (4 * workers)))


def _tqdm(func: Func, items: Items, workers: int) -> Any:
    concurrent = library("tqdm.contrib.concurrent")
    return concurrent.thread_map(func, items, max_workers=workers, disable=True)


MAPS: Table = {
    "concurrent.futures": _executor,
    "multiprocessing.pool": _pool,
    "joblib": _joblib,
    "mpire": _mpire,
    "pebble": _pebble,
    "tqdm thread_map": _tqdm,
}

# For tiny tasks, with the chunks that multiprocessing.pool and mpire choose themselves.
TINY_MAPS: Table = {**MAPS, "pebble": _pebble_chunks}


def _executor_unordered(func: Func, items: Items, workers: int) -> list[Any]:
    with ThreadPoolExecutor(workers) as executor:
        futures = [executor.submit(func, item) for item in items]
        return [future.result() for future in as_completed(futures)]


def _pool_unordered(func: Func, items: Items, workers: int) -> list[Any]:
    with ThreadPool(workers) as pool:
        return list(pool.imap_unordered(func, items))


def _joblib_unordered(func: Func, items: Items, workers: int) -> list[Any]:
    joblib = library("joblib")
    call = joblib.delayed(func)
    run = joblib.Parallel(n_jobs=workers, backend="threading", return_as="generator_unordered")
    return list(run(call(item) for item in items))


def _mpire_unordered(func: Func, items: Items, workers: int) -> list[Any]:
    with library("mpire").WorkerPool(n_jobs=workers, start_method="threading") as pool:
        return list(pool.imap_unordered(func, items))


def _pebble_unordered(func: Func, items: Items, workers: int) -> list[Any]:
    with library("pebble").ThreadPool(max_workers=workers) as pool:
        futures = [pool.schedule(func, args=[item]) for item in items]
        return [future.result() for future in as_completed(futures)]


# Results as they are completed.
UNORDERED: Table = {
    "concurrent.futures": _executor_unordered,
    "multiprocessing.pool": _pool_unordered,
    "joblib": _joblib_unordered,
    "mpire": _mpire_unordered,
    "pebble": _pebble_unordered,
    "tqdm thread_map": Unable("can't: results are in the order of the items"),
}


def _executor_outcomes(func: Func, items: Items, workers: int) -> list[Any]:
    with ThreadPoolExecutor(workers) as executor:
        futures = [executor.submit(func, item) for item in items]
        return [future.exception() or future.result() for future in futures]


def _pool_outcomes(func: Func, items: Items, workers: int) -> list[Any]:
    with ThreadPool(workers) as pool:
        return outcomes(pool.imap(func, items))


def _pebble_outcomes(func: Func, items: Items, workers: int) -> list[Any]:
    with library("pebble").ThreadPool(max_workers=workers) as pool:
        return outcomes(iter(pool.map(func, items).result()))


_FIRST_FAILURE = Unable("can't: the first failure ends the map")

# A failed item's slot has its exception, and the others are not disturbed.
FAILURES: Table = {
    "concurrent.futures": _executor_outcomes,
    "multiprocessing.pool": _pool_outcomes,
    "joblib": _FIRST_FAILURE,
    "mpire": _FIRST_FAILURE,
    "pebble": _pebble_outcomes,
    "tqdm thread_map": _FIRST_FAILURE,
}

_WHOLE = Unable("can't: its timeout ends the whole map")

# A task that takes too long is given up, and the others are not disturbed.
TIMEOUTS: Table = {
    "concurrent.futures": _WHOLE,
    "multiprocessing.pool": _WHOLE,
    "joblib": _WHOLE,
    "mpire": Unable("can't: its timeout ends the whole map, once the stuck task has returned"),
    "pebble": Unable("can't: timeouts are for processes only"),
    "tqdm thread_map": _WHOLE,
}


def _executor_stream(func: Func, items: Iterable[Any], workers: int, chunk: int) -> Iterator[Any]:
    executor = ThreadPoolExecutor(workers)
    try:
        yield from executor.map(func, items)
    finally:
        executor.shutdown(wait=False, cancel_futures=True)


def _pool_stream(func: Func, items: Iterable[Any], workers: int, chunk: int) -> Iterator[Any]:
    with ThreadPool(workers) as pool:
        yield from pool.imap(func, items, chunksize=chunk)


def _joblib_stream(func: Func, items: Iterable[Any], workers: int, chunk: int) -> Iterator[Any]:
    joblib = library("joblib")
    call = joblib.delayed(func)
    run = joblib.Parallel(n_jobs=workers, backend="threading", return_as="generator")
    yield from run(call(item) for item in items)


def _mpire_stream(func: Func, items: Iterable[Any], workers: int, chunk: int) -> Iterator[Any]:
    with library("mpire").WorkerPool(n_jobs=workers, start_method="threading") as pool:
        yield from pool.imap(func, items, chunk_size=chunk)


def _pebble_stream(func: Func, items: Iterable[Any], workers: int, chunk: int) -> Iterator[Any]:
    pool = library("pebble").ThreadPool(max_workers=workers)
    try:
        yield from pool.map(func, items, chunksize=chunk).result()
    finally:
        pool.stop()
        pool.join()


# Results in input order while later items are still at work.
STREAMS: Table = {
    "concurrent.futures": _executor_stream,
    "multiprocessing.pool": _pool_stream,
    "joblib": _joblib_stream,
    "mpire": _mpire_stream,
    "pebble": _pebble_stream,
    "tqdm thread_map": Unable("can't: returns a list, when all is done"),
}


def bare_threads(func: Func, items: Iterable[Any], workers: int) -> None:
    """The least that threads can cost; it has no results, no errors and no order."""
    iterator = iter(items)

    def work() -> None:
        for item in iterator:
            func(item)

    threads = [threading.Thread(target=work) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
