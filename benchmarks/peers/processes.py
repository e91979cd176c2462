"""Maps over processes of other libraries. Each call starts its processes and ends them.

Where a library lets the caller choose, processes are forked. loky, and joblib which uses it, start
fresh interpreters.
"""

from __future__ import annotations

import contextlib
import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from functools import partial
from typing import Any

from ..harness.workload import Run, Unable
from .table import Table, library, outcomes

Func = Callable[[Any], Any]
Items = Sequence[Any]


def _executor(func: Func, items: Items, workers: int, chunk: int = 1) -> list[Any]:
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(workers, mp_context=context) as executor:
        return list(executor.map(func, items, chunksize=chunk))


def _pool(func: Func, items: Items, workers: int) -> list[Any]:
    with multiprocessing.get_context("fork").Pool(workers) as pool:
        return pool.map(func, items)


def _loky(func: Func, items: Items, workers: int, chunk: int = 1) -> list[Any]:
    with library("loky").ProcessPoolExecutor(workers) as executor:
        return list(executor.map(func, items, chunksize=chunk))


def _joblib(func: Func, items: Items, workers: int) -> Any:
    joblib = library("joblib")
    call = joblib.delayed(func)
    try:
        return joblib.Parallel(n_jobs=workers)(call(item) for item in items)
    finally:  # it would keep its processes for the next call
        library("joblib.externals.loky").get_reusable_executor().shutdown(wait=True)


def _mpire(func: Func, items: Items, workers: int) -> Any:
    with library("mpire").WorkerPool(n_jobs=workers, start_method="fork") as pool:
        return pool.map(func, items)


def _pebble_pool(workers: int) -> Any:
    context = multiprocessing.get_context("fork")
    return library("pebble").ProcessPool(max_workers=workers, context=context)


def _pebble(func: Func, items: Items, workers: int, chunk: int = 1) -> list[Any]:
    with _pebble_pool(workers) as pool:
        return list(pool.map(func, items, chunksize=chunk).result())


MAPS: Table = {
    "concurrent.futures": _executor,
    "multiprocessing.pool": _pool,
    "joblib": _joblib,
    "loky": _loky,
    "mpire": _mpire,
    "pebble": _pebble,
}

# For tiny tasks. The others choose their chunks themselves.
TINY_MAPS: Table = {
    **MAPS,
    "concurrent.futures": partial(_executor, chunk=1000),
    "loky": partial(_loky, chunk=1000),
    "pebble": partial(_pebble, chunk=1000),
}


def _pebble_outcomes(
    func: Func, items: Items, workers: int, timeout: float | None = None
) -> list[Any]:
    with _pebble_pool(workers) as pool:
        return outcomes(iter(pool.map(func, items, timeout=timeout).result()))


# A worker that dies costs its own task and no other.
DEATHS: Table = {
    "concurrent.futures": Unable("can't: one death breaks the pool"),
    "multiprocessing.pool": Unable("can't: waits forever for the lost task"),
    "joblib": Unable("can't: one death ends the map"),
    "loky": Unable("can't: one death breaks the pool"),
    "mpire": Unable("can't: one death ends the map"),
    "pebble": _pebble_outcomes,
}

_WHOLE = Unable("can't: its timeout ends the whole map")

# A task that takes too long is ended, and the others are not disturbed.
TIMEOUTS: Table = {
    "concurrent.futures": _WHOLE,
    "multiprocessing.pool": _WHOLE,
    "joblib": _WHOLE,
    "loky": _WHOLE,
    "mpire": _WHOLE,
    "pebble": _pebble_outcomes,
}


def _warm_executor(stack: ExitStack, func: Func, item: Any, workers: int) -> Run:
    context = multiprocessing.get_context("fork")
    executor = stack.enter_context(ProcessPoolExecutor(workers, mp_context=context))
    return lambda: executor.submit(func, item).result()


def _warm_pool(stack: ExitStack, func: Func, item: Any, workers: int) -> Run:
    pool = stack.enter_context(multiprocessing.get_context("fork").Pool(workers))
    return lambda: pool.apply(func, [item])


def _warm_joblib(stack: ExitStack, func: Func, item: Any, workers: int) -> Run:
    joblib = library("joblib")
    run = stack.enter_context(joblib.Parallel(n_jobs=workers))
    return lambda: run([joblib.delayed(func)(item)])


def _warm_loky(stack: ExitStack, func: Func, item: Any, workers: int) -> Run:
    executor = stack.enter_context(library("loky").ProcessPoolExecutor(workers))
    return lambda: executor.submit(func, item).result()


def _warm_mpire(stack: ExitStack, func: Func, item: Any, workers: int) -> Run:
    pool = library("mpire").WorkerPool(n_jobs=workers, start_method="fork", keep_alive=True)
    pool = stack.enter_context(pool)
    return lambda: pool.map(func, [item])


def _warm_pebble(stack: ExitStack, func: Func, item: Any, workers: int) -> Run:
    pool = stack.enter_context(_pebble_pool(workers))
    return lambda: pool.schedule(func, args=[item]).result()


def bare_pipe(stack: ExitStack, item: Any) -> Run:
    """The least that a trip to a process and back can cost."""
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()

    def echo() -> None:
        here.close()
        with contextlib.suppress(EOFError):
            while True:
                there.send(there.recv())

    process = context.Process(target=echo)
    process.start()
    there.close()
    stack.callback(process.join)
    stack.enter_context(here)

    def trip() -> Any:
        here.send(item)
        return here.recv()

    return trip


# Each returns a function that sends one item through a pool that is already running.
WARM: Table = {
    "concurrent.futures": _warm_executor,
    "multiprocessing.pool": _warm_pool,
    "joblib": _warm_joblib,
    "loky": _warm_loky,
    "mpire": _warm_mpire,
    "pebble": _warm_pebble,
}
