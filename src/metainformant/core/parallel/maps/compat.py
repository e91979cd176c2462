"""Functions under names that other libraries use, written in terms of this one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Literal, TypeVar

from .. import validate
from ..host.cpus import cpu_count
from ..host.memory import available_memory
from ..public import public
from .threads import thread_map

TYPE_CHECKING = False
if TYPE_CHECKING:
    from concurrent.futures import Future

T = TypeVar("T")
R = TypeVar("R")

# Threads per processor for work that mostly waits, and the most threads. The default of
# `concurrent.futures` is processors + 4, at most 32.
_IO_PER_CPU = 4
_MOST_IO = 64


@public
def gather_results(
    futures: Iterable[Future[R]], timeout: float | None = None
) -> tuple[list[R], list[BaseException]]:
    """Wait for `concurrent.futures` futures; return their results, and the errors of the others.

    Both lists are in the order of the futures. A future that is cancelled, or not done in time,
    has its `CancelledError` or `TimeoutError` among the errors; it is not cancelled by this.

    Args:
        futures: what `Executor.submit` returned.
        timeout: seconds for all of them together; None to wait as long as it takes.

    Raises:
        TypeError, ValueError: for a wrong argument.

    >>> from concurrent.futures import ThreadPoolExecutor
    >>> from metainformant.core import parallel
    >>> with ThreadPoolExecutor() as pool:
    ...     parallel.gather_results([pool.submit(int, text) for text in ("1", "two", "3")])
    ([1, 3], [ValueError("invalid literal for int() with base 10: 'two'")])
    """
    caller = "gather_results"
    limit = validate.limit(caller, "timeout", timeout)
    waited = list(validate.check_items(caller, futures))
    for future in waited:
        if not callable(getattr(future, "result", None)):
            raise TypeError(
                f"{caller}: {future!r} is not a future; pass what Executor.submit() returned"
            )
        if hasattr(type(future), "_asyncio_future_blocking"):  # asyncio's own way to know its kind
            raise TypeError(
                f"{caller}: {future!r} belongs to an event loop, which can't be waited for from "
                "outside; use asyncio.gather(..., return_exceptions=True)"
            )
    ends = None if limit is None else time.monotonic() + limit
    successes: list[R] = []
    errors: list[BaseException] = []
    for future in waited:
        left = None if ends is None else max(0.0, ends - time.monotonic())
        try:
            successes.append(future.result(left))
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            errors.append(error)
    return successes, errors


@public
def rate_limited_map(
    func: Callable[[T], R],
    items: Iterable[T],
    max_per_second: float = 10.0,
    max_workers: int = 4,
    timeout: float | None = None,
) -> list[R | BaseException]:
    """Call `func` with each item, at most `max_per_second` times per second, in input order.

    This is `thread_map(func, items, max_workers, timeout=timeout, rate=max_per_second)`, which
    has more options. A failed item's slot holds its exception.

    Args:
        func: called with one item at a time, from several threads.
        items: any iterable, read whole before the map starts.
        max_per_second: starts per second, evenly spaced; it may be below 1.
        max_workers: how many threads at most.
        timeout: seconds that one item may take, counted from its own start; None for no limit.

    Raises:
        TypeError, ValueError: for a wrong argument, before anything is started.

    >>> from metainformant.core import parallel
    >>> parallel.rate_limited_map(len, ["ATG", "GATTACA"], max_per_second=1000)
    [3, 7]
    """
    caller = "rate_limited_map"
    fix = f"{caller}: max_per_second={max_per_second!r} must be a number of starts above 0"
    rate = validate.positive(max_per_second, fix)
    return thread_map(func, items, max_workers, timeout=timeout, rate=rate)


@public
def resource_aware_workers(
    task_type: Literal["io", "cpu"] = "io",
    max_cap: int | None = None,
    memory_per_worker_mb: float = 256,
) -> int:
    """Return how many workers suit this process, by its processors and the free memory.

    Args:
        task_type: "cpu" for one per processor, as `cpu_count` counts them; "io", for tasks that
            mostly wait, for four per processor, at most 64.
        max_cap: the most workers to return.
        memory_per_worker_mb: MiB of memory that one worker will need. Ignored where the free
            memory is not known.

    Returns:
        At least 1.

    Raises:
        TypeError, ValueError: for a wrong argument.

    >>> from metainformant.core import parallel
    >>> parallel.resource_aware_workers("cpu", max_cap=1)
    1
    """
    caller = "resource_aware_workers"
    if task_type not in ("io", "cpu"):
        raise ValueError(f"{caller}: task_type={task_type!r} must be 'io' or 'cpu'")
    cap = validate.optional_whole(caller, "max_cap", max_cap)
    each = validate.positive(
        memory_per_worker_mb,
        f"{caller}: memory_per_worker_mb={memory_per_worker_mb!r} must be a number above 0",
    )
    workers = cpu_count() if task_type == "cpu" else min(_MOST_IO, _IO_PER_CPU * cpu_count())
    free = available_memory()
    if free is not None:
        workers = min(workers, int(free / (each * 2**20)))
    return max(1, workers if cap is None else min(workers, cap))
