"""The maps over lazily read input whose results are iterated."""

from __future__ import annotations

from .. import validate
from ..calls import choose_workers
from ..options import NO_DEFAULT
from ..public import overload, public
from ..runner.stream_map import make_stream
from .processes import process_map
from .results import outcomes_of, values_of
from .signatures import shows_options
from .threads import thread_map

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, Literal, TypeVar, Unpack

    from ..calls import Workers
    from ..options import AsyncTask, MaxWorkers, ProcessOptions, Task
    from ..outcome import Outcome
    from ..validate import BackendOption, OnError
    from .results import Results

    D = TypeVar("D")
    T = TypeVar("T")
    R = TypeVar("R")


@overload
def imap(
    func: AsyncTask[T, R],
    items: Iterable[T],
    *,
    backend: Literal["asyncio"],
    max_workers: MaxWorkers = None,
    chunk_size: int | None = None,
    timeout: float | None = None,
    ordered: bool = True,
    buffer_size: int | None = None,
    on_error: Literal["return"] = "return",
    **options: Unpack[ProcessOptions],
) -> Results[R | BaseException]: ...
@overload
def imap(
    func: AsyncTask[T, R],
    items: Iterable[T],
    *,
    backend: Literal["asyncio"],
    max_workers: MaxWorkers = None,
    chunk_size: int | None = None,
    timeout: float | None = None,
    ordered: bool = True,
    buffer_size: int | None = None,
    on_error: Literal["raise", "skip"],
    **options: Unpack[ProcessOptions],
) -> Results[R]: ...
@overload
def imap(
    func: AsyncTask[T, R],
    items: Iterable[T],
    *,
    backend: Literal["asyncio"],
    max_workers: MaxWorkers = None,
    chunk_size: int | None = None,
    timeout: float | None = None,
    ordered: bool = True,
    buffer_size: int | None = None,
    default: D,
    on_error: Literal["return"] = "return",
    **options: Unpack[ProcessOptions],
) -> Results[R | D]: ...
@overload
def imap(
    func: Task[T, R],
    items: Iterable[T],
    *,
    backend: BackendOption = "thread",
    max_workers: MaxWorkers = None,
    chunk_size: int | None = None,
    timeout: float | None = None,
    ordered: bool = True,
    buffer_size: int | None = None,
    on_error: Literal["return"] = "return",
    **options: Unpack[ProcessOptions],
) -> Results[R | BaseException]: ...
@overload
def imap(
    func: Task[T, R],
    items: Iterable[T],
    *,
    backend: BackendOption = "thread",
    max_workers: MaxWorkers = None,
    chunk_size: int | None = None,
    timeout: float | None = None,
    ordered: bool = True,
    buffer_size: int | None = None,
    on_error: Literal["raise", "skip"],
    **options: Unpack[ProcessOptions],
) -> Results[R]: ...
@overload
def imap(
    func: Task[T, R],
    items: Iterable[T],
    *,
    backend: BackendOption = "thread",
    max_workers: MaxWorkers = None,
    chunk_size: int | None = None,
    timeout: float | None = None,
    ordered: bool = True,
    buffer_size: int | None = None,
    default: D,
    on_error: Literal["return"] = "return",
    **options: Unpack[ProcessOptions],
) -> Results[R | D]: ...
@overload
def imap(
    func: Callable[..., Any],
    items: Iterable[Iterable[Any]],
    *,
    backend: BackendOption = "thread",
    max_workers: MaxWorkers = None,
    chunk_size: int | None = None,
    timeout: float | None = None,
    ordered: bool = True,
    buffer_size: int | None = None,
    star: Literal[True],
    on_error: OnError = "return",
    default: Any = ...,
    **options: Unpack[ProcessOptions],
) -> Results[Any]: ...
@public
@shows_options(
    process_map, thread_map, processes=True, also={"backend": "thread", "max_workers": None}
)
def imap(
    func: Callable[..., Any],
    items: Iterable[Any],
    *more: object,
    buffer_size: int | None = None,
    **options: Any,
) -> Results[Any]:
    """Call `func` with each item, and iterate over the results while the map goes on.

    The input is read lazily, by a thread of its own, so it may be endless, slow or larger than
    memory; so may the output. Memory stays constant: at most `buffer_size` items are read and not
    yet delivered, and a consumer that stops asking soon stops the reading. References to an item
    and its result are dropped once it has been delivered, or with the last of its chunk.

    Failures, timeouts, order and all further options are those of `thread_map`. The map starts
    when the first result is asked for. Leaving it early (`close()`, the end of a `with` block,
    dropping the iterator) starts no more tasks and does not wait for those in flight.

    Args:
        func: called with one item at a time, from several workers.
        items: any iterable. It is iterated in another thread than yours. If that raises, the
            results of what was read before are delivered first, then its exception is raised.
        backend: the kind of workers: "thread", "process", "interpreter" (Python 3.14 and later),
            "asyncio" (for async functions, see `async_map`), "serial" (your own thread, see
            `serial`), a `concurrent.futures.Executor`, or the workers of a cluster, see
            `cluster_map`: "dask", a `distributed.Client`, or "ray". Executors and clients are used
            and not shut down.
        max_workers: how many workers at most; by default 8 threads, 100 calls of async functions,
            `cpu_count()` processes or interpreters, as many as the executor has, or what
            `cluster_map` has.
        chunk_size: how many consecutive items are handed over together; by default as many as the
            measured speed suggests.
        timeout: seconds that one item may take, counted from its own start.
        ordered: False for the order of completion instead of input order.
        buffer_size: how many items may be read and not yet delivered; by default 512 per worker
            and at least 32,768, or four chunks per worker if you chose larger ones. Only results
            that wait for an earlier one fill it: otherwise about three chunks per worker are read
            ahead of what is finished. Choose less if items or results are large.
        on_error: "return" to deliver failures in the place of results, "raise" to raise the
            first, "skip" to leave them out.

    Raises:
        TypeError, ValueError: for a wrong argument, at the call.
        TaskCancelledError, TooManyFailuresError, ParallelError: after the last result, if the map
            was stopped before all was finished, or left by another thread. A stream that ends
            without an exception is complete.
        RuntimeError: if a task raised StopIteration and `on_error="raise"`, or `on_complete` did.

    >>> from metainformant.core import parallel
    >>> with parallel.imap(len, (kmer * 2 for kmer in ("ATG", "GATTACA"))) as lengths:
    ...     for length in lengths:
    ...         print(length)
    6
    14
    """
    validate.one_iterable("imap", more)
    workers = pop_workers("imap", options)
    return values_of(make_stream("imap", func, items, workers, options, buffer_size=buffer_size))


@overload
def outcomes(
    func: AsyncTask[T, R],
    items: Iterable[T],
    *,
    backend: Literal["asyncio"],
    max_workers: MaxWorkers = None,
    chunk_size: int | None = None,
    timeout: float | None = None,
    ordered: bool = True,
    buffer_size: int | None = None,
    **options: Unpack[ProcessOptions],
) -> Results[Outcome[T, R]]: ...
@overload
def outcomes(
    func: Task[T, R],
    items: Iterable[T],
    *,
    backend: BackendOption = "thread",
    max_workers: MaxWorkers = None,
    chunk_size: int | None = None,
    timeout: float | None = None,
    ordered: bool = True,
    buffer_size: int | None = None,
    **options: Unpack[ProcessOptions],
) -> Results[Outcome[T, R]]: ...
@overload
def outcomes(
    func: Callable[..., Any],
    items: Iterable[Iterable[Any]],
    *,
    backend: BackendOption = "thread",
    max_workers: MaxWorkers = None,
    chunk_size: int | None = None,
    timeout: float | None = None,
    ordered: bool = True,
    buffer_size: int | None = None,
    star: Literal[True],
    **options: Unpack[ProcessOptions],
) -> Results[Outcome[Any, Any]]: ...
@public
@shows_options(
    imap,
    process_map,
    thread_map,
    processes=True,
    without=("on_error", "default"),
    also={"backend": "thread", "max_workers": None},
)
def outcomes(
    func: Callable[..., Any],
    items: Iterable[Any],
    *more: object,
    buffer_size: int | None = None,
    **options: Any,
) -> Results[Any]:
    """Call `func` with each item, and iterate over the `Outcome` of each.

    This is `imap`, with the item, its times, attempts and worker beside each result. It takes the
    same options except `on_error` and `default`: `Outcome.ok` says whether an item failed.
    Recording the times costs about a tenth of a microsecond per item.

    Raises:
        TypeError, ValueError: for a wrong argument, at the call. While iterating: see `imap`.

    >>> from metainformant.core import parallel
    >>> for outcome in parallel.outcomes(int, ["1", "two"]):
    ...     print(outcome.index, outcome.item, outcome.value if outcome.ok else "failed")
    0 1 1
    1 two failed
    """
    validate.one_iterable("outcomes", more)
    stream = make_stream(
        "outcomes",
        func,
        items,
        pop_workers("outcomes", options),
        options,
        buffer_size=buffer_size,
        keep_times=True,
        on_error="return",
        default=NO_DEFAULT,
    )
    return outcomes_of(stream)


def pop_workers(caller: str, options: dict[str, Any]) -> Workers:
    """Remove `backend` and `max_workers` from the options of a stream; return the choice."""
    max_workers = options.pop("max_workers", None)
    return choose_workers(caller, max_workers, options.pop("backend", "thread"))
