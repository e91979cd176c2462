"""Workers that are kept from one map to the next."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, TypeVar, overload

from ..backends.registry import make_worker_pool
from ..errors import ParallelError
from ..options import make_plan
from ..runner.batches import run_batches
from ..runner.list_map import run_map
from .streams import Results, imap_of, outcomes_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Unpack

    from ..options import PoolOptions, Task
    from ..outcome import Outcome
    from ..validate import StartMethod, Workers

T = TypeVar("T")
R = TypeVar("R")


class Pool:
    """Workers that are kept from one map to the next, so that only the first map has to start them.

    Its methods are the maps of this package, with the same meaning. It may be used from several
    threads at once, and by a map whose results are still being read. Maps that run at the same time
    share its workers: each takes those that are free when it needs them, and has at least one.

    A worker that died or had to be killed is replaced when it is needed, so a pool is as good as
    new after any failure.

    Args:
        backend: the kind of workers, see `imap`.
        max_workers: how many workers at most, see `imap`. Of several maps at the same time each may
            have one more, so that none waits for another.
        initializer, initargs, worker_state: see `thread_map`; done when a worker is started.
        start_method, inner_threads, max_tasks_per_worker, memory_limit: see `process_map`.

    Threads start in no time, so they are not kept: with them, `initializer` and `worker_state`
    are for each map. An executor keeps its workers itself, and is not shut down.

    Raises:
        TypeError, ValueError: for a wrong argument.
        ParallelError: if something can't be pickled that has to be.

    >>> from metainformant.core import parallel
    >>> with parallel.Pool(backend="process", max_workers=2) as pool:
    ...     print(pool.map(len, ["ATG", "GATTACA"]))
    ...     print(pool.batch(sorted, [3, 1, 2], batch_size=2))
    [3, 7]
    [1, 3, 2]
    """

    def __init__(
        self,
        backend: Workers = "thread",
        max_workers: int | None = None,
        *,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
        worker_state: Callable[[], Any] | None = None,
        start_method: StartMethod | None = None,
        inner_threads: int | None = None,
        max_tasks_per_worker: int | None = None,
        memory_limit: int | None = None,
    ) -> None:
        self._arguments: dict[str, Any] = {
            "backend": backend,
            "max_workers": max_workers,
            "default_workers": True,
            "initializer": initializer,
            "initargs": tuple(initargs),
            "worker_state": worker_state,
        }
        for_processes = {
            "start_method": start_method,
            "inner_threads": inner_threads,
            "max_tasks_per_worker": max_tasks_per_worker,
            "memory_limit": memory_limit,
        }
        given = {name: value for name, value in for_processes.items() if value is not None}
        plan = make_plan("Pool", _nothing, given, **self._arguments)
        self._arguments.update(for_processes, max_workers=plan.max_workers)
        self._is_closed = False  # set once, by whoever closes the pool
        self._streams: weakref.WeakSet[Results[Any]] = weakref.WeakSet()
        if plan.backend in ("process", "interpreter"):
            pool = make_worker_pool(plan, kept=True)
            if pool is not None:
                self._arguments["pool"] = pool
                # Also at exit, and when nobody has the pool any more.
                self._finalizer = weakref.finalize(self, pool.close, None)

    @overload
    def map(
        self,
        func: Task[T, R],
        items: Iterable[T],
        chunk_size: int | None = None,
        timeout: float | None = None,
        ordered: bool = True,
        *,
        on_error: Literal["return"] = "return",
        **options: Unpack[PoolOptions],
    ) -> list[R | BaseException]: ...
    @overload
    def map(
        self,
        func: Task[T, R],
        items: Iterable[T],
        chunk_size: int | None = None,
        timeout: float | None = None,
        ordered: bool = True,
        *,
        on_error: Literal["raise", "skip"],
        **options: Unpack[PoolOptions],
    ) -> list[R]: ...
    def map(
        self,
        func: Callable[..., Any],
        items: Iterable[Any],
        chunk_size: int | None = None,
        timeout: float | None = None,
        ordered: bool = True,
        **options: Any,
    ) -> list[Any]:
        """Call `func` with each item and return the results: see `thread_map` and `process_map`."""
        own: dict[str, Any] = {"chunk_size": chunk_size, "timeout": timeout, "ordered": ordered}
        plan = make_plan("Pool.map", func, options, **own, **self._use("map", options))
        return run_map(plan, items)

    @overload
    def imap(
        self,
        func: Task[T, R],
        items: Iterable[T],
        *,
        on_error: Literal["return"] = "return",
        chunk_size: int | None = None,
        timeout: float | None = None,
        ordered: bool = True,
        buffer_size: int | None = None,
        **options: Unpack[PoolOptions],
    ) -> Results[R | BaseException]: ...
    @overload
    def imap(
        self,
        func: Task[T, R],
        items: Iterable[T],
        *,
        on_error: Literal["raise", "skip"],
        chunk_size: int | None = None,
        timeout: float | None = None,
        ordered: bool = True,
        buffer_size: int | None = None,
        **options: Unpack[PoolOptions],
    ) -> Results[R]: ...
    def imap(
        self,
        func: Callable[..., Any],
        items: Iterable[Any],
        *,
        buffer_size: int | None = None,
        **options: Any,
    ) -> Results[Any]:
        """Call `func` with each item, and iterate over the results: see the function `imap`."""
        arguments = self._use("imap", options)
        return self._watch(imap_of("Pool.imap", func, items, buffer_size, options, **arguments))

    def outcomes(
        self,
        func: Task[T, R],
        items: Iterable[T],
        *,
        buffer_size: int | None = None,
        **options: Any,
    ) -> Results[Outcome[T, R]]:
        """Call `func` with each item, and iterate over outcomes: see the function `outcomes`."""
        arguments = self._use("outcomes", options)
        return self._watch(
            outcomes_of("Pool.outcomes", func, items, buffer_size, options, **arguments)
        )

    def batch(
        self,
        func: Task[list[T], Iterable[R]],
        items: Iterable[T],
        batch_size: int = 10,
        **options: Any,
    ) -> list[Any]:
        """Call `func` with lists of items, and return all results: see `parallel_batch`."""
        return run_batches(
            "Pool.batch", func, items, batch_size, options, **self._use("batch", options)
        )

    def close(self) -> None:
        """End all workers, and the iterators of this pool, for good. May be called again.

        An iterator that has not delivered everything raises `ParallelError` when it is asked.

        Raises:
            ParallelError: if a worker could not close its state.
        """
        if self._is_closed:
            return
        self._is_closed = True
        for stream in list(self._streams):
            stream.abort()
        pool = self._arguments.get("pool")
        if pool is not None and self._finalizer.detach():
            pool.close(lambda: False)

    def __enter__(self) -> Pool:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _use(self, name: str, options: Mapping[str, object]) -> dict[str, Any]:
        if self._is_closed:
            raise ParallelError(f"Pool.{name}: the pool is closed; make another")
        for option in options:
            if option in self._arguments:
                raise TypeError(
                    f"Pool.{name}() takes no {option}: that belongs to the workers, which the "
                    "pool has; pass it to Pool"
                )
        return self._arguments

    def _watch(self, results: Results[R]) -> Results[R]:
        self._streams.add(results)
        results.keep(self)
        return results


def _nothing(item: Any) -> Any:
    return item
