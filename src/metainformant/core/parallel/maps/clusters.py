"""The map in the workers of a cluster."""

from __future__ import annotations

from .. import validate
from ..calls import choose_workers, make_call
from ..public import overload, public
from ..runner.list_map import run_map
from .signatures import shows_options
from .threads import thread_map

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, Literal, TypeVar, Unpack

    from ..options import MapOptions, Task
    from ..validate import ClusterOption, OnError

    D = TypeVar("D")
    T = TypeVar("T")
    R = TypeVar("R")


@overload
def cluster_map(
    func: Task[T, R],
    items: Iterable[T],
    cluster: ClusterOption,
    max_workers: int | None = None,
    chunk_size: int | None = None,
    timeout: float | None = None,
    ordered: bool = True,
    *,
    wait_for_workers: float | None = 60,
    on_error: Literal["return"] = "return",
    **options: Unpack[MapOptions],
) -> list[R | BaseException]: ...


@overload
def cluster_map(
    func: Task[T, R],
    items: Iterable[T],
    cluster: ClusterOption,
    max_workers: int | None = None,
    chunk_size: int | None = None,
    timeout: float | None = None,
    ordered: bool = True,
    *,
    wait_for_workers: float | None = 60,
    on_error: Literal["raise", "skip"],
    **options: Unpack[MapOptions],
) -> list[R]: ...
@overload
def cluster_map(
    func: Task[T, R],
    items: Iterable[T],
    cluster: ClusterOption,
    max_workers: int | None = None,
    chunk_size: int | None = None,
    timeout: float | None = None,
    ordered: bool = True,
    *,
    wait_for_workers: float | None = 60,
    default: D,
    on_error: Literal["return"] = "return",
    **options: Unpack[MapOptions],
) -> list[R | D]: ...
@overload
def cluster_map(
    func: Callable[..., Any],
    items: Iterable[Iterable[Any]],
    cluster: ClusterOption,
    max_workers: int | None = None,
    chunk_size: int | None = None,
    timeout: float | None = None,
    ordered: bool = True,
    *,
    wait_for_workers: float | None = 60,
    star: Literal[True],
    on_error: OnError = "return",
    default: Any = ...,
    **options: Unpack[MapOptions],
) -> list[Any]: ...
@public
@shows_options(thread_map)
def cluster_map(
    func: Callable[..., Any],
    items: Iterable[Any],
    cluster: Any,
    max_workers: int | None = None,
    chunk_size: int | None = None,
    timeout: float | None = None,
    ordered: bool = True,
    *,
    wait_for_workers: float | None = 60,
    **options: Any,
) -> list[Any]:
    """Call `func` with each item, in the workers of a cluster, and return the results in order.

    This is `process_map` on machines that somebody else has started: it means the same and takes
    the same options, except those that only processes have. It needs the extra `[dask]` or `[ray]`.

    No item is started twice for one attempt, whatever the scheduler runs again. A worker that dies
    costs the item that it was running and, where items are shorter than 0.1 s, those of about the
    last 0.1 s: their slots hold a `WorkerDiedError`, and `retries` runs them again. Everything else
    is kept, or runs elsewhere. A worker of Dask that closes finishes its items before.

    Args:
        func: called with one item at a time, in several processes. It has to be defined in a module
            that the workers can import, in the script itself, or in a notebook.
        items: any iterable; it is read whole before the map starts.
        cluster: a `distributed.Client`, or "dask" for the current one; it is not closed. Or "ray"
            for the Ray that this process is connected to.
        max_workers: how many threads of the workers at most; by default twice as many as there are
            when the map begins, and at least 16, so that workers which join are used.
        chunk_size: how many consecutive items are handed over together; by default as many as the
            measured speed suggests.
        timeout: seconds that one item may take, counted from its own start. After that its slot
            holds a `TaskTimeoutError` that names the worker, and the call is ended by an exception.
            If it goes on, a worker of Ray, or of Dask with one thread and a nanny, ends its process
            and is replaced; in others the call is left behind.
        ordered: False for the order of completion instead of input order.
        wait_for_workers: seconds without any worker after which the map gives up; None for never.
            Raise it where a batch system may take long to start the first.

    The other options are those of `thread_map`; `max_abandoned` counts for each thread of a worker.

    Costs: about 50 ms for the first map, with Ray a second; an item about 1 us if it is small, and
    a few milliseconds between two items that take longer than 0.1 s. See docs/clusters.md.

    Raises:
        TypeError, ValueError: for a wrong argument, before anything is started.
        ParallelError: if `func` can't be sent or read, if workers have other versions than this
            process, if the scheduler is gone, or if there is no worker for `wait_for_workers` s.
        TaskCancelledError, TooManyFailuresError: see `thread_map`.
    """
    me = "cluster_map"
    patience = validate.limit(me, "wait_for_workers", wait_for_workers)
    workers = choose_workers(me, max_workers, validate.cluster(me, cluster)).waiting(patience)
    call = make_call(
        me,
        func,
        workers,
        options,
        chunk_size=chunk_size,
        timeout=timeout,
        ordered=ordered,
    )
    return run_map(call, items)
