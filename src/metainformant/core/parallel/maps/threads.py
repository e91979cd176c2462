"""The maps in threads."""

from __future__ import annotations

from ..calls import choose_workers, make_call
from ..public import overload, public
from ..runner.list_map import run_map
from .signatures import shows_options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, Literal, TypeVar, Unpack

    from ..options import MapOptions, MaxWorkers, Task
    from ..validate import OnError

    D = TypeVar("D")
    T = TypeVar("T")
    R = TypeVar("R")


@overload
def thread_map(
    func: Task[T, R],
    items: Iterable[T],
    max_workers: MaxWorkers = 8,
    chunk_size: int | None = None,
    timeout: float | None = None,
    ordered: bool = True,
    *,
    on_error: Literal["return"] = "return",
    **options: Unpack[MapOptions],
) -> list[R | BaseException]: ...
@overload
def thread_map(
    func: Task[T, R],
    items: Iterable[T],
    max_workers: MaxWorkers = 8,
    chunk_size: int | None = None,
    timeout: float | None = None,
    ordered: bool = True,
    *,
    on_error: Literal["raise", "skip"],
    **options: Unpack[MapOptions],
) -> list[R]: ...
@overload
def thread_map(
    func: Task[T, R],
    items: Iterable[T],
    max_workers: MaxWorkers = 8,
    chunk_size: int | None = None,
    timeout: float | None = None,
    ordered: bool = True,
    *,
    default: D,
    on_error: Literal["return"] = "return",
    **options: Unpack[MapOptions],
) -> list[R | D]: ...
@overload
def thread_map(
    func: Callable[..., Any],
    items: Iterable[Iterable[Any]],
    max_workers: MaxWorkers = 8,
    chunk_size: int | None = None,
    timeout: float | None = None,
    ordered: bool = True,
    *,
    star: Literal[True],
    on_error: OnError = "return",
    default: Any = ...,
    **options: Unpack[MapOptions],
) -> list[Any]: ...
@public
@shows_options()
def thread_map(
    func: Callable[..., Any],
    items: Iterable[Any],
    max_workers: MaxWorkers = 8,
    chunk_size: int | None = None,
    timeout: float | None = None,
    ordered: bool = True,
    **options: Any,
) -> list[Any]:
    """Call `func` with each item, in threads, and return the results in input order.

    A failed item does not disturb the others: its slot holds the exception itself, with its
    traceback and a note that names the item. A `KeyboardInterrupt` or `SystemExit` raised by
    `func` stops the map and is raised here.

    Args:
        func: called with one item at a time, from several threads.
        items: any iterable. One that is not a list or tuple is read whole before the map starts;
            if reading it fails, that exception is raised and nothing is started.
        max_workers: how many threads at most. No more are started than there are items. Or "auto",
            for calls of services, or an `Auto`: the map finds out how many at a time are best.
        chunk_size: how many consecutive items are handed to a thread together. By default this
            follows the measured speed: slow items go one by one, fast ones by the thousand. Either
            way, a thread that runs out of work takes over half of what another has not started.
        timeout: seconds that one item may take, counted from its own start; None for no limit.
            After that its slot holds a `TaskTimeoutError`, and another thread goes on in place
            of the stuck one. The call is ended if CPython allows it (pure Python is);
            otherwise it runs on, and keeps neither this map nor the interpreter's exit waiting.
        ordered: False for the order of completion instead of input order. That order is exact
            for items that finish at least 5 ms apart.
        on_error: "return" as described; "raise" to raise the first failure at once, without
            waiting for the items in flight, and to start nothing more; "skip" to leave out
            failed items.
        default: what stands in the slots of failed items instead of their exceptions, for example
            `float("nan")`; only with `on_error="return"`.
        skip_none: True to leave out results that are None.
        deadline: seconds that the whole call may take. Items that are not finished by then get a
            `TaskCancelledError`; a stream raises one.
        cancel: a `threading.Event` that stops the map when it is set, within about 0.05 s; items
            that are not finished get a `TaskCancelledError`, and a stream raises one.
        max_failures: how many items may fail, as a count or (a float below 1) as a fraction of
            the finished ones; past it the map stops. That raises `TooManyFailuresError`, unless
            `on_error` is "return": then unfinished items get a `TaskCancelledError`.
        slow_after: seconds after which a running item is logged, once, with its stack, to the
            logger "metainformant.parallel".
        max_abandoned: how many stuck tasks may be left running (default 1000) before the map
            stops with a `ParallelError`.
        keep_locals: True to keep the local variables of failed tasks, for a debugger. By default a
            failure that is returned as a value keeps the lines of its traceback only, or a
            thousand failures would keep the memory of a thousand tasks.
        retries: how often a failed item is tried again (default 0).
        retry_on: the exceptions after which it is: a class, a tuple of them, or a function that
            gets the exception and returns whether to try again (default `Exception`).
        backoff: seconds of the longest delay before the first retry (default 0.1). It doubles up
            to 60, and the delay is drawn at random below it. Or a function of attempt and exception
            that returns the delay.
        throttled: which exceptions mean that a service wants fewer calls: classes, a function, or
            None for none. By default those with a status 429, 503 or 529, and botocore's. They are
            no failures: the item is tried again, up to `retries` times or 5, and `Retry-After`
            pauses all starts.
        rate: how many tasks may be started per second, retries included; or a `RateLimit`, or
            several, which all hold.
        max_cost: what the tasks may cost, in the units of the limit that has a `cost`; the map
            stops before one that would cost more, as a deadline stops it.
        on_complete: called with index, item and result of every success, in this thread. If it
            raises, the map stops and raises that.
        progress: True or a label for a bar, or a function that is called with a `Progress`.
        checkpoint: the path of a file that holds each outcome as soon as there is one, or a
            `Checkpoint`; the same call after a kill runs only what is missing.
        report: the path of an `.html` or `.json` file for what happened and what limited the
            run, or a `Report`.
        trace: the path of a `.json.gz` file for a slice per item, which Perfetto opens.
        live: True for the page of a report that grows while the map runs, for browsers of this
            machine. Its address is logged at INFO to the logger "metainformant.parallel".
        star: True if each item is an iterable of positional arguments, `func(*item)`.
        kwargs: a dict of constants that each call gets by keyword. Each worker is sent them once.
        seed: a whole number for `current_task().random` and `current_task().rng`: numbers that
            depend on it and on the index of the item only.
        initializer: called once by each worker before its first task.
        initargs: the arguments that it gets.
        worker_state: called once by each worker; `func` gets what it returns as its last
            positional argument. It is closed at the worker's end.

    Costs: a new thread takes about 0.1 ms; an item about as much as in a plain loop. Under the
    GIL, threads speed up waiting (files, requests) and code that releases the GIL (NumPy,
    compression), but not pure Python computation.

    Tasks see the caller's context variables. What a task sets there may be seen by later tasks
    of the same thread, but never by the caller.

    Raises:
        TypeError, ValueError: for a wrong argument, before anything is started.
        TaskCancelledError, TooManyFailuresError: if `deadline`, `cancel` or `max_failures` stopped
            the map and `on_error` is not "return"; its `results` is the list so far.
        ParallelError: if too many tasks are stuck, or no thread can be started; it has `results`
            too.
        CheckpointError: if the checkpoint can't be used, or written; then it has `results` too.

    >>> from metainformant.core import parallel
    >>> parallel.thread_map(len, ["ATG", "GATTACA"])
    [3, 7]
    >>> parallel.thread_map(int, ["1", "two", "3"])
    [1, ValueError("invalid literal for int() with base 10: 'two'"), 3]
    >>> parallel.thread_map(pow, [(2, 5), (3, 2)], star=True, kwargs={"mod": 7})
    [4, 2]
    """
    call = make_call(
        "thread_map",
        func,
        choose_workers("thread_map", max_workers),
        options,
        chunk_size=chunk_size,
        timeout=timeout,
        ordered=ordered,
    )
    return run_map(call, items)


@overload
def thread_map_unordered(
    func: Task[T, R],
    items: Iterable[T],
    max_workers: MaxWorkers = 8,
    timeout: float | None = None,
    *,
    on_error: Literal["return"] = "return",
    chunk_size: int | None = None,
    **options: Unpack[MapOptions],
) -> list[R | BaseException]: ...
@overload
def thread_map_unordered(
    func: Task[T, R],
    items: Iterable[T],
    max_workers: MaxWorkers = 8,
    timeout: float | None = None,
    *,
    on_error: Literal["raise", "skip"],
    chunk_size: int | None = None,
    **options: Unpack[MapOptions],
) -> list[R]: ...
@overload
def thread_map_unordered(
    func: Task[T, R],
    items: Iterable[T],
    max_workers: MaxWorkers = 8,
    timeout: float | None = None,
    *,
    default: D,
    on_error: Literal["return"] = "return",
    chunk_size: int | None = None,
    **options: Unpack[MapOptions],
) -> list[R | D]: ...
@overload
def thread_map_unordered(
    func: Callable[..., Any],
    items: Iterable[Iterable[Any]],
    max_workers: MaxWorkers = 8,
    timeout: float | None = None,
    *,
    star: Literal[True],
    on_error: OnError = "return",
    default: Any = ...,
    chunk_size: int | None = None,
    **options: Unpack[MapOptions],
) -> list[Any]: ...
@public
@shows_options(thread_map, without=("ordered",))
def thread_map_unordered(
    func: Callable[..., Any],
    items: Iterable[Any],
    max_workers: MaxWorkers = 8,
    timeout: float | None = None,
    **options: Any,
) -> list[Any]:
    """Call `func` with each item, in threads, and return the results in the order of completion.

    This is `thread_map` with `ordered=False`, and takes the same options. The position of a
    failure does not say which item it belongs to; its note does.

    Raises:
        TypeError, ValueError: for a wrong argument, before anything is started.

    >>> from metainformant.core import parallel
    >>> sorted(parallel.thread_map_unordered(len, ["ATG", "GATTACA"]))
    [3, 7]
    >>> parallel.thread_map_unordered(int, ["1", "two"], on_error="skip")
    [1]
    """
    call = make_call(
        "thread_map_unordered",
        func,
        choose_workers("thread_map_unordered", max_workers),
        options,
        timeout=timeout,
        ordered=False,
    )
    return run_map(call, items)
