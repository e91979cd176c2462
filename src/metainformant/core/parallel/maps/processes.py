"""The maps in processes."""

from __future__ import annotations

from ..calls import choose_workers, make_call
from ..public import overload, public
from ..runner.list_map import run_map
from .signatures import shows_options
from .threads import thread_map

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, Literal, TypeVar, Unpack

    from ..options import ProcessOptions, Task
    from ..validate import OnError

    D = TypeVar("D")
    T = TypeVar("T")
    R = TypeVar("R")


@overload
def process_map(
    func: Task[T, R],
    items: Iterable[T],
    max_workers: int | None = None,
    chunk_size: int | None = None,
    timeout: float | None = None,
    ordered: bool = True,
    *,
    on_error: Literal["return"] = "return",
    **options: Unpack[ProcessOptions],
) -> list[R | BaseException]: ...
@overload
def process_map(
    func: Task[T, R],
    items: Iterable[T],
    max_workers: int | None = None,
    chunk_size: int | None = None,
    timeout: float | None = None,
    ordered: bool = True,
    *,
    on_error: Literal["raise", "skip"],
    **options: Unpack[ProcessOptions],
) -> list[R]: ...
@overload
def process_map(
    func: Task[T, R],
    items: Iterable[T],
    max_workers: int | None = None,
    chunk_size: int | None = None,
    timeout: float | None = None,
    ordered: bool = True,
    *,
    default: D,
    on_error: Literal["return"] = "return",
    **options: Unpack[ProcessOptions],
) -> list[R | D]: ...
@overload
def process_map(
    func: Callable[..., Any],
    items: Iterable[Iterable[Any]],
    max_workers: int | None = None,
    chunk_size: int | None = None,
    timeout: float | None = None,
    ordered: bool = True,
    *,
    star: Literal[True],
    on_error: OnError = "return",
    default: Any = ...,
    **options: Unpack[ProcessOptions],
) -> list[Any]: ...
@public
@shows_options(thread_map, processes=True)
def process_map(
    func: Callable[..., Any],
    items: Iterable[Any],
    max_workers: int | None = None,
    chunk_size: int | None = None,
    timeout: float | None = None,
    ordered: bool = True,
    **options: Any,
) -> list[Any]:
    """Call `func` with each item, in processes, and return the results in input order.

    This is `thread_map` for pure Python computation, and for code that can crash: it means the same
    and takes the same options. A failed item's slot holds its exception, whose cause tells where
    in the worker it was raised. A worker that dies, however it does, costs the one item that it
    was running: its slot holds a `WorkerDiedError`.

    Args:
        func: called with one item at a time, in several processes. It has to be defined at the top
            level of a module, as have the classes of items and results; with the extra
            `[process]`, lambdas, closures and what is defined in a notebook work too.
        items: any iterable; it is read whole before the map starts.
        max_workers: how many processes at most; by default `cpu_count()`.
        chunk_size: how many consecutive items are handed over together; by default as many as the
            measured speed suggests.
        timeout: seconds that one item may take, counted from its own start. After that its slot
            holds a `TaskTimeoutError`, and the call is ended: by an exception that is raised in
            it, or, if it goes on for 20 ms after that, by killing its process together with the
            processes that it started.
        ordered: False for the order of completion instead of input order.
        start_method: "spawn", "forkserver" or "fork", as in `multiprocessing`; by default
            "forkserver" on Linux and "spawn" elsewhere. "fork" starts fastest, and is only safe
            in a process without other threads; it warns if there are any.
        inner_threads: how many threads numerical libraries (BLAS, OpenMP) may use in each worker;
            by default `cpu_count() // max_workers`, at least 1. Libraries that are loaded before
            the worker sets this are limited only if threadpoolctl is installed (extra
            `[process]`).
        max_tasks_per_worker: after how many items a worker is replaced; None for never.
        memory_limit: bytes that a worker may use, as a number or a text such as "2GB". A worker
            that uses more is replaced after its current item; one that uses more than one and a
            half times as much is killed at once, and the slot of its item holds a
            `WorkerDiedError`.

    The other options are those of `thread_map`.

    Costs: starting a process takes from 5 ms ("fork") to 100 ms ("spawn", and whatever importing
    your modules takes); an item about as much as in a plain loop, plus 0.1 us for a number and
    about 1 us for anything else small. Arrays and other large buffers are copied once, into shared
    memory.

    A script that calls this must do so below `if __name__ == "__main__":`, since each worker
    imports the script. Called in a worker, this runs in a thread of that worker, one item at a
    time.

    Raises:
        TypeError, ValueError: for a wrong argument, before anything is started.
        ParallelError: if `func` can't be pickled, or a worker dies before it is ready to run.
        TaskCancelledError, TooManyFailuresError: see `thread_map`.

    >>> from metainformant.core import parallel
    >>> parallel.process_map(len, ["ATG", "GATTACA"], max_workers=2)
    [3, 7]
    >>> parallel.process_map(int, ["1", "two", "3"], max_workers=2, on_error="skip")
    [1, 3]
    """
    call = make_call(
        "process_map",
        func,
        choose_workers("process_map", max_workers, "process"),
        options,
        chunk_size=chunk_size,
        timeout=timeout,
        ordered=ordered,
    )
    return run_map(call, items)


@overload
def process_map_unordered(
    func: Task[T, R],
    items: Iterable[T],
    max_workers: int | None = None,
    timeout: float | None = None,
    *,
    on_error: Literal["return"] = "return",
    chunk_size: int | None = None,
    **options: Unpack[ProcessOptions],
) -> list[R | BaseException]: ...
@overload
def process_map_unordered(
    func: Task[T, R],
    items: Iterable[T],
    max_workers: int | None = None,
    timeout: float | None = None,
    *,
    on_error: Literal["raise", "skip"],
    chunk_size: int | None = None,
    **options: Unpack[ProcessOptions],
) -> list[R]: ...
@overload
def process_map_unordered(
    func: Task[T, R],
    items: Iterable[T],
    max_workers: int | None = None,
    timeout: float | None = None,
    *,
    default: D,
    on_error: Literal["return"] = "return",
    chunk_size: int | None = None,
    **options: Unpack[ProcessOptions],
) -> list[R | D]: ...
@overload
def process_map_unordered(
    func: Callable[..., Any],
    items: Iterable[Iterable[Any]],
    max_workers: int | None = None,
    timeout: float | None = None,
    *,
    star: Literal[True],
    on_error: OnError = "return",
    default: Any = ...,
    chunk_size: int | None = None,
    **options: Unpack[ProcessOptions],
) -> list[Any]: ...
@public
@shows_options(process_map, thread_map, processes=True, without=("ordered",))
def process_map_unordered(
    func: Callable[..., Any],
    items: Iterable[Any],
    max_workers: int | None = None,
    timeout: float | None = None,
    **options: Any,
) -> list[Any]:
    """Call `func` with each item, in processes, and return the results in the order of completion.

    This is `process_map` with `ordered=False`, and takes the same options.

    Raises:
        TypeError, ValueError: for a wrong argument, before anything is started.
        ParallelError: see `process_map`.

    >>> from metainformant.core import parallel
    >>> sorted(parallel.process_map_unordered(len, ["ATG", "GATTACA"], max_workers=2))
    [3, 7]
    """
    call = make_call(
        "process_map_unordered",
        func,
        choose_workers("process_map_unordered", max_workers, "process"),
        options,
        timeout=timeout,
        ordered=False,
    )
    return run_map(call, items)
