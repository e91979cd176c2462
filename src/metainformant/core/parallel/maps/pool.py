"""Workers that are kept from one map to the next."""

from __future__ import annotations

import threading
import weakref

from .. import validate
from ..backends.registry import make_kept_workers
from ..calls import choose_workers, make_call
from ..errors import ParallelError
from ..options import NO_DEFAULT, OPTIONS
from ..public import overload, public
from ..runner.batches import run_batches
from ..runner.list_map import run_map
from ..runner.stream_map import make_stream
from . import streams
from .batches import parallel_batch
from .results import outcomes_of, values_of
from .signatures import hides_unknown, shows_options
from .threads import thread_map

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import TracebackType
    from typing import Any, Literal, Never, TypeVar, Unpack

    from ..options import MaxWorkers, PoolOptions, Task
    from ..outcome import Outcome
    from ..validate import BackendOption, OnError, StartMethod
    from .results import Results

    D = TypeVar("D")
    T = TypeVar("T")
    R = TypeVar("R")


# What belongs to the workers, and so to the pool.
_OF_WORKERS = [name for name, option in OPTIONS.items() if option.of_workers]


@public
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

    Threads start in 0.1 ms, and event loops in not much more, so they are not kept: `initializer`
    and `worker_state` are then called for each map. An executor keeps its workers itself, and is
    not shut down. Those of a cluster are prepared for each map. Actors of Ray are kept until the
    pool is closed.

    Raises:
        TypeError, ValueError: for a wrong argument.
        ParallelError: if `initializer`, `initargs` or `worker_state` can't be pickled; for
            interpreters before Python 3.14.

    >>> from metainformant.core import parallel
    >>> with parallel.Pool(backend="process", max_workers=2) as pool:
    ...     print(pool.map(len, ["ATG", "GATTACA"]))
    ...     print(pool.batch(sorted, [3, 1, 2], batch_size=2))
    [3, 7]
    [1, 3, 2]
    """

    @hides_unknown
    def __init__(
        self,
        backend: BackendOption = "thread",
        max_workers: MaxWorkers = None,
        *,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
        worker_state: Callable[[], Any] | None = None,
        start_method: StartMethod | None = None,
        inner_threads: int | None = None,
        max_tasks_per_worker: int | None = None,
        memory_limit: int | str | None = None,
        **unknown: Never,
    ) -> None:
        given = {
            "start_method": start_method,
            "inner_threads": inner_threads,
            "max_tasks_per_worker": max_tasks_per_worker,
            "memory_limit": memory_limit,
        }
        for name in unknown:
            if name in OPTIONS:
                raise TypeError(f"Pool() takes no {name}: pass it to the methods of the pool")
            from ..other_names import unknown_option  # needed only to word this error

            known = ["backend", "max_workers", *_OF_WORKERS]
            raise TypeError(unknown_option("Pool", name, known))
        workers = choose_workers("Pool", max_workers, backend)
        call = make_call(
            "Pool",
            _nothing_awaited if workers.kind == "asyncio" else _nothing,
            workers,
            {name: value for name, value in given.items() if value is not None},
            initializer=initializer,
            initargs=initargs,
            worker_state=worker_state,
        )
        self._workers = call.workers
        # What belongs to the workers, for the maps that start some of their own.
        self._options: dict[str, Any] = {name: getattr(call.options, name) for name in _OF_WORKERS}
        # Under the lock, which the garbage collector may take in the middle of anything.
        self._lock = threading.RLock()
        self._is_closed = False
        self._streams: weakref.WeakSet[Results[Any]] = weakref.WeakSet()  # those to be closed
        pool = self._workers.pool = make_kept_workers(call)
        if pool is not None:
            # Also at exit, and when nobody has the pool any more.
            self._finalizer = weakref.finalize(self, pool.abort)

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
    @overload
    def map(
        self,
        func: Task[T, R],
        items: Iterable[T],
        chunk_size: int | None = None,
        timeout: float | None = None,
        ordered: bool = True,
        *,
        default: D,
        on_error: Literal["return"] = "return",
        **options: Unpack[PoolOptions],
    ) -> list[R | D]: ...
    @overload
    def map(
        self,
        func: Callable[..., Any],
        items: Iterable[Iterable[Any]],
        chunk_size: int | None = None,
        timeout: float | None = None,
        ordered: bool = True,
        *,
        star: Literal[True],
        on_error: OnError = "return",
        default: Any = ...,
        **options: Unpack[PoolOptions],
    ) -> list[Any]: ...
    @shows_options(thread_map, pool=True)
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
        self._check("map", options)
        call = make_call(
            "Pool.map",
            func,
            self._workers,
            options,
            chunk_size=chunk_size,
            timeout=timeout,
            ordered=ordered,
            **self._options,
        )
        return run_map(call, items)

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
    @overload
    def imap(
        self,
        func: Task[T, R],
        items: Iterable[T],
        *,
        default: D,
        on_error: Literal["return"] = "return",
        chunk_size: int | None = None,
        timeout: float | None = None,
        ordered: bool = True,
        buffer_size: int | None = None,
        **options: Unpack[PoolOptions],
    ) -> Results[R | D]: ...
    @overload
    def imap(
        self,
        func: Callable[..., Any],
        items: Iterable[Iterable[Any]],
        *,
        star: Literal[True],
        on_error: OnError = "return",
        default: Any = ...,
        chunk_size: int | None = None,
        timeout: float | None = None,
        ordered: bool = True,
        buffer_size: int | None = None,
        **options: Unpack[PoolOptions],
    ) -> Results[Any]: ...
    @shows_options(streams.imap, thread_map, pool=True)
    def imap(
        self,
        func: Callable[..., Any],
        items: Iterable[Any],
        *more: object,
        buffer_size: int | None = None,
        **options: Any,
    ) -> Results[Any]:
        """Call `func` with each item, and iterate over the results: see the function `imap`."""
        validate.one_iterable("Pool.imap", more)
        self._check("imap", options)
        stream = make_stream(
            "Pool.imap",
            func,
            items,
            self._workers,
            options,
            buffer_size=buffer_size,
            **self._options,
        )
        return self._keep("imap", values_of(stream))

    @overload
    def outcomes(
        self,
        func: Task[T, R],
        items: Iterable[T],
        *,
        chunk_size: int | None = None,
        timeout: float | None = None,
        ordered: bool = True,
        buffer_size: int | None = None,
        **options: Unpack[PoolOptions],
    ) -> Results[Outcome[T, R]]: ...
    @overload
    def outcomes(
        self,
        func: Callable[..., Any],
        items: Iterable[Iterable[Any]],
        *,
        chunk_size: int | None = None,
        timeout: float | None = None,
        ordered: bool = True,
        buffer_size: int | None = None,
        star: Literal[True],
        **options: Unpack[PoolOptions],
    ) -> Results[Outcome[Any, Any]]: ...
    @shows_options(streams.imap, thread_map, pool=True, without=("on_error", "default"))
    def outcomes(
        self,
        func: Callable[..., Any],
        items: Iterable[Any],
        *more: object,
        buffer_size: int | None = None,
        **options: Any,
    ) -> Results[Any]:
        """Call `func` with each item, and iterate over outcomes: see the function `outcomes`."""
        validate.one_iterable("Pool.outcomes", more)
        self._check("outcomes", options)
        stream = make_stream(
            "Pool.outcomes",
            func,
            items,
            self._workers,
            options,
            buffer_size=buffer_size,
            keep_times=True,
            on_error="return",
            default=NO_DEFAULT,
            **self._options,
        )
        return self._keep("outcomes", outcomes_of(stream))

    @overload
    def batch(
        self,
        func: Task[list[T], Iterable[R]],
        items: Iterable[T],
        batch_size: int = 10,
        *,
        on_error: Literal["return"] = "return",
        strict: bool = False,
        chunk_size: int | None = None,
        timeout: float | None = None,
        ordered: bool = True,
        **options: Unpack[PoolOptions],
    ) -> list[R | BaseException]: ...
    @overload
    def batch(
        self,
        func: Task[list[T], Iterable[R]],
        items: Iterable[T],
        batch_size: int = 10,
        *,
        on_error: Literal["raise", "skip"],
        strict: bool = False,
        chunk_size: int | None = None,
        timeout: float | None = None,
        ordered: bool = True,
        **options: Unpack[PoolOptions],
    ) -> list[R]: ...
    @overload
    def batch(
        self,
        func: Task[list[T], Iterable[R]],
        items: Iterable[T],
        batch_size: int = 10,
        *,
        default: D,
        on_error: Literal["return"] = "return",
        strict: bool = False,
        chunk_size: int | None = None,
        timeout: float | None = None,
        ordered: bool = True,
        **options: Unpack[PoolOptions],
    ) -> list[R | D]: ...
    @shows_options(parallel_batch, thread_map, pool=True, without=("star",))
    def batch(
        self,
        func: Callable[..., Iterable[Any]],
        items: Iterable[Any],
        batch_size: int = 10,
        *,
        strict: bool = False,
        **options: Any,
    ) -> list[Any]:
        """Call `func` with lists of items, and return all results: see `parallel_batch`."""
        self._check("batch", options)
        return run_batches(
            "Pool.batch",
            func,
            items,
            batch_size,
            self._workers,
            options,
            strict=strict,
            **self._options,
        )

    def close(self) -> None:
        """End all workers, and the iterators of this pool, for good. May be called again.

        An iterator that has not delivered everything raises `ParallelError` when it is asked. What
        another thread calls, `map` or `batch`, goes on: nobody waits for it here, and its workers
        end with it.

        Raises:
            ParallelError: if a worker could not close its state.
        """
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            streams = list(self._streams)
        for stream in streams:
            stream.abort()
        pool = self._workers.pool
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

    if not TYPE_CHECKING:  # for them it has no other attributes

        def __getattr__(self, name: str) -> Any:
            """Say what to use instead of a method that pools of other libraries have."""
            from ..other_names import unknown_pool_method  # needed only to word this error

            raise AttributeError(unknown_pool_method(name))

    def _check(self, name: str, options: Mapping[str, object]) -> None:
        self._check_open(name)
        for option in options:
            if option in ("backend", "max_workers", *self._options):
                raise TypeError(
                    f"Pool.{name}() takes no {option}: that belongs to the workers, which the "
                    "pool has; pass it to Pool"
                )

    def _check_open(self, name: str) -> None:
        if self._is_closed:
            raise ParallelError(f"Pool.{name}: the pool is closed; make another")

    def _keep(self, name: str, results: Results[R]) -> Results[R]:
        """Let the results be closed with the pool, which may have been while they were made."""
        with self._lock:
            self._check_open(name)
            self._streams.add(results)
        results.keep(self)
        return results


def _nothing(item: Any, *state: Any) -> Any:
    return item


async def _nothing_awaited(item: Any, *state: Any) -> Any:
    return item
