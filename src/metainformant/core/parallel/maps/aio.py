"""The map for callers inside an event loop of asyncio."""

from __future__ import annotations

import asyncio
from collections import deque
from time import monotonic

from .. import validate
from ..functions import is_async
from ..public import overload, public
from ..runner.awaited_map import let_end
from ..runner.stream_map import End, make_stream
from .processes import process_map
from .results import values_of
from .signatures import shows_options
from .streams import imap, pop_workers
from .threads import thread_map

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable
    from typing import Any, Literal, TypeVar, Unpack

    from ..engine.outcome_batch import OutcomeBatch
    from ..options import AsyncTask, MaxWorkers, ProcessOptions, Task
    from ..runner.stream_map import Stream
    from ..validate import BackendOption, OnError

    D = TypeVar("D")
    T = TypeVar("T")
    R = TypeVar("R")

# Seconds for which results that have arrived may keep the event loop from its other tasks.
_TURN = 0.005


@overload
def aimap(
    func: AsyncTask[T, R],
    items: Iterable[T],
    *,
    backend: Literal["asyncio"] = "asyncio",
    max_workers: MaxWorkers = None,
    chunk_size: int | None = None,
    timeout: float | None = None,
    ordered: bool = True,
    buffer_size: int | None = None,
    on_error: Literal["return"] = "return",
    **options: Unpack[ProcessOptions],
) -> AsyncGenerator[R | BaseException, None]: ...
@overload
def aimap(
    func: AsyncTask[T, R],
    items: Iterable[T],
    *,
    backend: Literal["asyncio"] = "asyncio",
    max_workers: MaxWorkers = None,
    chunk_size: int | None = None,
    timeout: float | None = None,
    ordered: bool = True,
    buffer_size: int | None = None,
    on_error: Literal["raise", "skip"],
    **options: Unpack[ProcessOptions],
) -> AsyncGenerator[R, None]: ...
@overload
def aimap(
    func: AsyncTask[T, R],
    items: Iterable[T],
    *,
    backend: Literal["asyncio"] = "asyncio",
    max_workers: MaxWorkers = None,
    chunk_size: int | None = None,
    timeout: float | None = None,
    ordered: bool = True,
    buffer_size: int | None = None,
    default: D,
    on_error: Literal["return"] = "return",
    **options: Unpack[ProcessOptions],
) -> AsyncGenerator[R | D, None]: ...
@overload
def aimap(
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
) -> AsyncGenerator[R | BaseException, None]: ...
@overload
def aimap(
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
) -> AsyncGenerator[R, None]: ...
@overload
def aimap(
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
) -> AsyncGenerator[R | D, None]: ...
@overload
def aimap(
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
) -> AsyncGenerator[Any, None]: ...
@public
@shows_options(
    imap, process_map, thread_map, processes=True, also={"backend": "thread", "max_workers": None}
)
def aimap(
    func: Callable[..., Any],
    items: Iterable[Any],
    *more: object,
    buffer_size: int | None = None,
    **options: Any,
) -> AsyncGenerator[Any, None]:
    """Call `func` with each item, and iterate over the results with `async for`.

    This is `imap` for code that runs in an event loop of asyncio: it never blocks the loop, and
    takes the same options. `on_complete` is called in the loop's thread. Cancelling the task that
    iterates, or `aclose()`, stops the map without waiting for the calls in flight.

    Async functions run as tasks of this very loop, so they may use what belongs to it: a client
    with its connections, locks, queues. Then the end of the map waits until they have ended, for a
    second at most. One that blocks the loop blocks the caller too.

    Args:
        func: a plain function, called in threads or whatever `backend` says; or an async function.
        items: any iterable. It is read in a thread, so it may block.
        backend: see `imap`; for an async function it is "asyncio".
        max_workers: see `imap`; 100 calls in flight for async functions.

    Raises:
        TypeError, ValueError: for a wrong argument, at the call. While iterating: see `imap`.

    >>> import asyncio
    >>> from metainformant.core import parallel
    >>> async def main():
    ...     async for length in parallel.aimap(len, ["ATG", "GATTACA"]):
    ...         print(length)
    >>> asyncio.run(main())
    3
    7
    """
    validate.one_iterable("aimap", more)
    options.setdefault("backend", "asyncio" if is_async(func) else "thread")
    workers = pop_workers("aimap", options)
    stream = make_stream("aimap", func, items, workers, options, buffer_size=buffer_size)
    return _values_here(stream) if stream.runs_here else _values(stream)


async def _values_here(stream: Stream) -> AsyncGenerator[Any, None]:
    """Run the tasks of serial mode in the thread of the event loop, which they block."""
    for value in values_of(stream):
        yield value


async def _values(stream: Stream) -> AsyncGenerator[Any, None]:
    loop = asyncio.get_running_loop()
    received: deque[OutcomeBatch | End] = deque()  # filled by the driver, emptied here; both atomic
    arrived = asyncio.Event()
    guard = _Guard(stream)
    stream.workers.loop = loop

    def send(batch: OutcomeBatch | End) -> None:
        received.append(batch)
        try:
            loop.call_soon_threadsafe(arrived.set)
        except RuntimeError:  # the loop was closed, and nobody waits any more
            stream.abort()

    try:
        if stream.has_checkpoint:  # reading what it has may take a moment
            await asyncio.to_thread(stream.start, send)
        else:
            stream.start(send)
        turn_ends = monotonic() + _TURN
        while True:
            await arrived.wait()
            arrived.clear()
            while received:
                batch = received.popleft()
                if isinstance(batch, End):
                    stream.finish(batch)
                    return
                for ready in stream.take(batch):
                    values = stream.selection.values(ready)
                    values.reverse()
                    while values:
                        yield values.pop()
                        # There may always be another value, and then we never have to wait.
                        if monotonic() > turn_ends:
                            await asyncio.sleep(0)
                            turn_ends = monotonic() + _TURN
    finally:
        guard.abort()
        await let_end(stream.workers.tasks)


class _Guard:
    """The end of a stream whose generator is garbage collected.

    An asynchronous generator is closed by its loop. If that was closed before, no `finally` is run.
    """

    def __init__(self, stream: Stream) -> None:
        self.abort = stream.abort

    def __del__(self) -> None:
        self.abort()
