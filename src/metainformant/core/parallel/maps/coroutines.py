"""The maps of async functions into lists: for plain callers, and for async ones."""

from __future__ import annotations

from ..calls import choose_workers, make_call
from ..public import overload, public
from ..runner.list_map import run_map
from .signatures import shows_options
from .threads import thread_map

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from typing import Any, Literal, TypeVar, Unpack

    from ..options import AsyncTask, MapOptions, MaxWorkers
    from ..validate import OnError

    D = TypeVar("D")
    T = TypeVar("T")
    R = TypeVar("R")


@overload
def async_map(
    func: AsyncTask[T, R],
    items: Iterable[T],
    max_workers: MaxWorkers = 100,
    chunk_size: int | None = None,
    timeout: float | None = None,
    ordered: bool = True,
    *,
    on_error: Literal["return"] = "return",
    **options: Unpack[MapOptions],
) -> list[R | BaseException]: ...
@overload
def async_map(
    func: AsyncTask[T, R],
    items: Iterable[T],
    max_workers: MaxWorkers = 100,
    chunk_size: int | None = None,
    timeout: float | None = None,
    ordered: bool = True,
    *,
    on_error: Literal["raise", "skip"],
    **options: Unpack[MapOptions],
) -> list[R]: ...
@overload
def async_map(
    func: AsyncTask[T, R],
    items: Iterable[T],
    max_workers: MaxWorkers = 100,
    chunk_size: int | None = None,
    timeout: float | None = None,
    ordered: bool = True,
    *,
    default: D,
    on_error: Literal["return"] = "return",
    **options: Unpack[MapOptions],
) -> list[R | D]: ...
@overload
def async_map(
    func: Callable[..., Awaitable[Any]],
    items: Iterable[Iterable[Any]],
    max_workers: MaxWorkers = 100,
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
@shows_options(thread_map)
def async_map(
    func: Callable[..., Awaitable[Any]],
    items: Iterable[Any],
    max_workers: MaxWorkers = 100,
    chunk_size: int | None = None,
    timeout: float | None = None,
    ordered: bool = True,
    **options: Any,
) -> list[Any]:
    """Await `func` for each item, many at a time, and return the results in input order.

    For calls that wait: requests of an async client by the ten thousand, with as many in flight as
    the service allows and one thread for all of them. The calls run in an event loop that has a
    thread of its own, so this may be called anywhere, in a notebook or below a running loop too;
    it blocks its caller. To stay in the loop of the caller use `aiomap` or `aimap`.

    Failures, order, retries, limits and all further options are those of `thread_map`, except:

    Args:
        func: an async function of one item, a `functools.partial` of one, or an object with an
            async `__call__`.
        items: any iterable, see `thread_map`; it is read in the caller's thread.
        max_workers: how many calls are in flight at most. Or "auto", for calls of services, or an
            `Auto`: the map finds out how many at a time are best.
        timeout: seconds that one item may take. The call is then ended by cancellation: it gets an
            `asyncio.CancelledError`, and its place is free at once. One that catches that and goes
            on is abandoned. One that blocks (`time.sleep`, heavy computation) stops every other
            call of its loop: the errors name its item, and the map goes on in another loop.
        initializer, initargs, worker_state: called once, in the loop; they may be async functions.
            `func` gets the state, which all calls share, as its last positional argument. A state
            that is an async context manager is entered, and left at the end: an HTTP client with
            its connection pool, for example.

    Costs: an item that need not wait takes about half a microsecond, and one that waits about 15
    more than waiting takes in asyncio.

    Raises:
        TypeError, ValueError: for a wrong argument, before anything is started; a plain function
            is one.
        TaskCancelledError, TooManyFailuresError, ParallelError, CheckpointError: see `thread_map`.

    >>> import asyncio
    >>> from metainformant.core import parallel
    >>> async def length(sequence):
    ...     await asyncio.sleep(0.01)
    ...     return len(sequence)
    >>> parallel.async_map(length, ["ATG", "GATTACA"])
    [3, 7]
    """
    call = make_call(
        "async_map",
        func,
        choose_workers("async_map", max_workers, "asyncio"),
        options,
        chunk_size=chunk_size,
        timeout=timeout,
        ordered=ordered,
    )
    return run_map(call, items)


@overload
async def aiomap(
    func: AsyncTask[T, R],
    items: Iterable[T],
    max_workers: MaxWorkers = 100,
    chunk_size: int | None = None,
    timeout: float | None = None,
    ordered: bool = True,
    *,
    on_error: Literal["return"] = "return",
    **options: Unpack[MapOptions],
) -> list[R | BaseException]: ...
@overload
async def aiomap(
    func: AsyncTask[T, R],
    items: Iterable[T],
    max_workers: MaxWorkers = 100,
    chunk_size: int | None = None,
    timeout: float | None = None,
    ordered: bool = True,
    *,
    on_error: Literal["raise", "skip"],
    **options: Unpack[MapOptions],
) -> list[R]: ...
@overload
async def aiomap(
    func: AsyncTask[T, R],
    items: Iterable[T],
    max_workers: MaxWorkers = 100,
    chunk_size: int | None = None,
    timeout: float | None = None,
    ordered: bool = True,
    *,
    default: D,
    on_error: Literal["return"] = "return",
    **options: Unpack[MapOptions],
) -> list[R | D]: ...
@overload
async def aiomap(
    func: Callable[..., Awaitable[Any]],
    items: Iterable[Iterable[Any]],
    max_workers: MaxWorkers = 100,
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
@shows_options(async_map, thread_map)
async def aiomap(
    func: Callable[..., Awaitable[Any]],
    items: Iterable[Any],
    max_workers: MaxWorkers = 100,
    chunk_size: int | None = None,
    timeout: float | None = None,
    ordered: bool = True,
    **options: Any,
) -> list[Any]:
    """Await `func` for each item in the caller's event loop; return the results in input order.

    This is `async_map` for async callers. The calls are tasks of the running loop, so they may use
    what belongs to it: a client with its connections, locks, queues. When the caller is cancelled,
    so are they, within about 0.05 s, and the caller waits until they have ended, for a second at
    most. `items` is read in a thread, so it may block, and `on_complete` is called in the loop.

    A call that blocks the loop blocks the caller too, and every other call: if it does so for
    longer than `timeout`, the errors name its item.

    Raises:
        TypeError, ValueError: for a wrong argument, before anything is started.
        TaskCancelledError, TooManyFailuresError, ParallelError, CheckpointError: see `thread_map`.

    >>> import asyncio
    >>> from metainformant.core import parallel
    >>> async def main():
    ...     lock = asyncio.Lock()
    ...     async def length(sequence):
    ...         async with lock:
    ...             return len(sequence)
    ...     print(await parallel.aiomap(length, ["ATG", "GATTACA"]))
    >>> asyncio.run(main())
    [3, 7]
    """
    call = make_call(
        "aiomap",
        func,
        choose_workers("aiomap", max_workers, "asyncio"),
        options,
        chunk_size=chunk_size,
        timeout=timeout,
        ordered=ordered,
    )
    from ..runner.awaited_map import await_map  # slow to import

    return await await_map(call, items)
