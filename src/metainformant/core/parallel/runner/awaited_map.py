"""One run over items that are read whole, awaited in the event loop that its workers live in."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import queue
import threading
from time import monotonic

from ..host.threads import DAEMON, launch
from .list_map import run_map

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from ..calls import MapCall

# Seconds that calls which were cancelled have to end before nobody waits for them any more.
_GRACE_SECONDS = 1.0
# Seconds between two looks, while a call in the loop is awaited, at whether the loop was closed.
_LOOK_SECONDS = 0.5


async def await_map(call: MapCall, items: Iterable[Any]) -> list[Any]:
    """Run a map in a thread, with tasks of the running loop as workers; return its results.

    When the caller is cancelled, so are the workers, and the caller waits until they have ended.
    """
    loop, has_left = asyncio.get_running_loop(), threading.Event()
    workers, options = call.workers, call.options
    workers.loop = loop
    on_complete = options.on_complete
    options = options.replace(
        cancel=_Either(has_left, options.cancel),
        on_complete=None if on_complete is None else _called_in(loop, on_complete),
    )
    call = call.replace(options=options)
    done: asyncio.Future[list[Any]] = loop.create_future()

    def end(finish: Callable[[Any], object], value: Any) -> None:
        if not done.done():
            finish(value)

    def run() -> None:
        try:
            outcome: tuple[Any, Any] = done.set_result, run_map(call, items)
        except BaseException as error:
            outcome = done.set_exception, error
        with contextlib.suppress(RuntimeError):  # the loop is closed, and nobody waits any more
            loop.call_soon_threadsafe(end, *outcome)
        del outcome

    name = f"{call.caller} driver"
    context = contextvars.copy_context()
    launch(threading.Thread(target=context.run, args=(run,), name=name, daemon=DAEMON), call.caller)
    is_freed = False
    try:
        return await done
    except GeneratorExit:  # its loop is gone, in which it could wait
        is_freed = True
        raise
    finally:
        has_left.set()
        if not is_freed:
            await let_end(workers.tasks)


async def let_end(tasks: set[asyncio.Task[None]]) -> None:
    """Wait until the tasks of a map, which are being cancelled, have ended: a second at most.

    A caller that is cancelled again meanwhile waits on: scopes of anyio do so at each step.
    """
    cancelled: asyncio.CancelledError | None = None
    until = monotonic() + _GRACE_SECONDS
    try:
        while tasks and (seconds := until - monotonic()) > 0:
            try:
                await asyncio.wait(tasks, timeout=seconds)
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None:
            raise cancelled
    finally:
        del cancelled  # its traceback leads to this frame: leave no cycle


class _Either:
    """An event that is set if one of two is, the second of which there may not be."""

    def __init__(self, first: threading.Event, second: threading.Event | None) -> None:
        self._first = first
        self._second = second

    def is_set(self) -> bool:
        return self._first.is_set() or (self._second is not None and self._second.is_set())


def _called_in(
    loop: asyncio.AbstractEventLoop, function: Callable[..., object]
) -> Callable[..., None]:
    """Return what calls a function in the thread of a loop, and raises what it raises.

    It raises RuntimeError if the loop is closed before.
    """

    def call(*arguments: Any) -> None:
        ended: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()

        def run() -> None:
            try:
                function(*arguments)
            except BaseException as error:
                ended.put(error)
            else:
                ended.put(None)

        loop.call_soon_threadsafe(run)
        while True:
            try:
                error = ended.get(timeout=_LOOK_SECONDS)
                break
            except queue.Empty:
                if loop.is_closed():
                    raise RuntimeError("the event loop was closed before on_complete ran") from None
        if error is not None:
            try:
                raise error
            finally:
                del error  # its traceback leads to this frame: leave no cycle

    return call
