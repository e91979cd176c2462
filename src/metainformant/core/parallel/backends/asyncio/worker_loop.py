"""An event loop in which workers of one map run, and the way to it from the engine's thread.

What differs between the caller's loop and one of our own is in files of their own.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from time import monotonic

from ...errors import ParallelError
from ...host.memory import keep_large_blocks
from ...worker.loop_setup import PreparedLoop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from contextvars import Context
    from typing import Any

    from ...calls import MapCall
    from .worker import Worker

# Seconds after which workers look whether they have kept the loop from everything else since, which
# those that never have to wait may do for twice as long.
_TURN_SECONDS = 0.0025
# As many workers begin in one step of a loop, which has other things to do as well: in its debug
# mode it complains about steps of 0.1 seconds, and creating a task takes long there.
_MOST_BEGINS = 64
# Seconds between two signs of life of a loop. One that gives none for several of them, and for half
# of the timeout, is taken for blocked.
_BEAT_SECONDS = 0.05
_MIN_SILENCE_SECONDS = 0.2
_CANCELLED = (
    "something else has cancelled its tasks in the caller's event loop, so that it can't go on; "
    "cancel the caller of the map instead"
)


class WorkerLoop:
    """An event loop in which workers of one map run.

    What is not marked otherwise is owned by the loop's thread. The engine adds workers and jobs,
    and then wakes the loop if it has not done so since the loop looked last. The loop first notes
    that it looks, and then takes from queues that have a lock each; the engine first adds, and then
    reads that note. So nothing that was added is left lying: if the loop came too early to see it,
    its note had been made before the lock was free for the engine. A loop that is not prepared yet
    leaves the note as it is, and looks once it is prepared.

    Args:
        call: what to do.
        context: that of the caller; tasks see a copy.
        work: runs a worker.
        count: counts the jobs that wait, and reminders.
        report: tells the engine what is broken.
    """

    def __init__(
        self,
        call: MapCall,
        context: Context,
        work: Callable[[Worker], Coroutine[Any, Any, None]],
        count: Callable[[], int],
        report: Callable[[BaseException], object],
    ) -> None:
        options = call.options
        self.loop: asyncio.AbstractEventLoop
        self.ident: int | None = None  # of the loop's thread, once it runs
        self.func: Callable[[Any], Any] = call.func  # what workers call, once all is prepared
        self.turn_ends: float = 0.0  # when workers should let others have their turn
        self._is_noted = False  # whether no others have had their turn since workers asked
        # Whether workers should take no more jobs. Set by the engine, read by all.
        self.is_closing: bool = False
        self.is_given_up = False  # whether no worker should begin here; owned by the engine
        self._call = call
        # What the initializer sets there is seen by all tasks, and never by the caller.
        self._context = context.copy()
        self._work, self._count, self._report = work, count, report
        limits = [each for each in (options.timeout, options.slow_after) if each is not None]
        self._limit = min(limits, default=None)  # in seconds
        self._new: deque[Worker] = deque()  # the engine appends, the loop takes
        self._is_woken = False  # see above
        self._is_cancelling = False  # whether calls in flight are to end; set by the engine
        # Whether a worker was ever abandoned. Set by engine and loop, never reset.
        self._has_abandoned = False
        self._beat_at = monotonic()  # the last sign of life; read by the engine
        self._blocking: Worker | None = None  # what was found last; owned by the engine
        self._is_prepared = False
        self._main: asyncio.Task[None] | None = None
        self._workers: set[Worker] = set()  # whose tasks have not ended; the engine reads a copy
        self._parked: list[asyncio.Future[None]] = []
        self._may_end: asyncio.Event | None = None
        # Those that somebody waits for, or did a moment ago, and some that have ended since; None
        # until the loop ends.
        self._last: list[Worker] | None = None
        self._is_clean = threading.Event()  # whether the state is closed

    # From the engine's thread

    def start(self) -> None:
        """Begin to run workers. ParallelError if that is not possible."""
        raise NotImplementedError

    def add(self, worker: Worker) -> None:
        """Let the loop begin a worker when it is woken next."""
        self._new.append(worker)

    def wake(self) -> None:
        """Let the loop look soon at what there is to do. Any thread may call this."""
        if not self._is_woken:
            self._is_woken = True
            self._call_soon(self._look)

    def abandon(self, worker: Worker) -> None:
        """Note that nobody waits for the call of a worker any more. The loop may call this too."""
        worker.is_abandoned = self._has_abandoned = True

    def cancel(self, worker: Worker) -> None:
        """End the call that a worker is making, at the next step of the loop."""
        self._call_soon(self._cancel, worker)

    def is_blocked(self) -> bool:
        """Return whether something keeps the loop from giving signs of life."""
        if self._limit is None or self.ident is None:
            return False
        return monotonic() - self._beat_at > max(_MIN_SILENCE_SECONDS, self._limit / 2)

    def give_up(self, group: set[Worker]) -> None:
        """Count no more on this loop, which is blocked, if there can be another."""

    def blocking(self) -> Worker | None:
        """Return the worker whose code is running just now; None if it is something else."""
        if self._blocking is None or not self._blocking.is_running():  # all others ask the same
            workers = self._workers.copy()
            self._blocking = next((worker for worker in workers if worker.is_running()), None)
        return self._blocking

    def close(self, *, cancel: bool) -> None:
        """Let workers end; those that run something at once if `cancel` is set."""
        self._is_cancelling = self._is_cancelling or cancel
        self.is_closing = True
        self._call_soon(self._look)  # whether it was woken or not: it may not be prepared yet

    def has_ended(self) -> bool:
        """Return whether all has ended that anybody waits for."""
        return self._is_clean.is_set()

    def wait(self, seconds: float) -> None:
        self._is_clean.wait(seconds)

    def _call_soon(self, function: Callable[..., object], *arguments: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed, and nobody works any more
            self.loop.call_soon_threadsafe(function, *arguments)

    # In the loop's thread

    async def park(self) -> None:
        """Wait until there may be something to do."""
        future = self.loop.create_future()
        self._parked.append(future)
        try:
            await future
        except asyncio.CancelledError:
            with contextlib.suppress(ValueError):  # it was woken just then
                self._parked.remove(future)
            raise

    async def take_turns(self) -> None:
        """Let other tasks of the loop run, if workers have kept them from it for long.

        That a turn is over does not say so: all may have waited since it began. So a note is left
        first, which the loop removes when it is the others' turn, and workers go on until then.
        """
        if self._is_noted:
            await asyncio.sleep(0)
            return
        self._is_noted = True
        self.turn_ends = monotonic() + _TURN_SECONDS
        self.loop.call_soon(self._begin_turn)

    def _begin_turn(self) -> None:
        """Note that others have their turn now, and workers after them."""
        self._is_noted = False
        self.turn_ends = monotonic() + _TURN_SECONDS

    async def live(self) -> None:
        """Prepare, run workers until they are to end, and clean up."""
        self._main = asyncio.current_task()
        self._may_end = asyncio.Event()
        self.ident = threading.get_ident()
        keep_large_blocks()  # asyncio asks for one at each read
        prepared = PreparedLoop(self._call.options.preparation)
        try:
            bind = await prepared.open()
            if self._limit is not None:
                self._beat()
            self.func = bind(self._call.func)
            self._is_prepared = True
            if self._is_woken or self.is_closing:
                self._look()
            await self._await_end(self._may_end)
        except asyncio.CancelledError:
            if not self.is_closing:  # nor was it by us, before all was prepared
                self._report(ParallelError(f"{self._call.caller}: {_CANCELLED}"))
        except BaseException as error:
            self._report(error)
        finally:
            self.is_closing = True
            self._unpark_all()
            try:
                await prepared.close()
            except Exception as error:
                self._report(error)
            finally:
                self._is_clean.set()

    async def _await_end(self, may_end: asyncio.Event) -> None:
        """Wait until nobody waits for any worker. CancelledError if no more can run."""
        await may_end.wait()

    def _beat(self) -> None:
        self._beat_at = monotonic()
        if not self._is_clean.is_set():
            self.loop.call_later(_BEAT_SECONDS, self._beat)

    def _look(self) -> None:
        """Begin new workers, and let those that have nothing to do look for jobs."""
        if self.is_closing:
            self._end_workers()
            return
        if not self._is_prepared:
            return
        self._is_woken = False
        for _ in range(min(len(self._new), _MOST_BEGINS)):
            self._begin(self._new.popleft())
        if self._new:
            self.loop.call_soon(self._look)
        for _ in range(min(self._count(), len(self._parked))):
            self._unpark()

    def _begin(self, worker: Worker) -> None:
        context = self._context.copy()
        self._workers.add(worker)
        worker.coroutine = self._work(worker)
        worker.task = self.loop.create_task(worker.coroutine, name=worker.name, context=context)
        worker.task.add_done_callback(lambda _: self._has_ended(worker))

    def _unpark(self) -> None:
        future = self._parked.pop()
        if not future.done():  # it may have been cancelled
            future.set_result(None)

    def _unpark_all(self) -> None:
        while self._parked:
            self._unpark()

    def _has_ended(self, worker: Worker) -> None:
        worker.coroutine = None
        self._workers.discard(worker)
        if worker.task is not None and worker.task.cancelled() and not self.is_closing:
            self._begin(worker)  # a stranger has cancelled it before it had begun
        if self.is_closing:
            self._end_if_done()

    def _cancel(self, worker: Worker) -> None:
        if worker.task is not None:
            worker.task.cancel()

    def _end_workers(self) -> None:
        self._unpark_all()
        for worker in tuple(self._workers):
            if self._is_cancelling and not worker.is_abandoned:
                self.abandon(worker)
                self._cancel(worker)
        if not self._is_prepared:
            if self._is_cancelling and self._main is not None:
                self._main.cancel()
        else:
            self._end_if_done()

    def _end_if_done(self) -> None:
        """Let `live` go on if nobody waits for any worker. Each is looked at about once.

        No worker begins any more, and none that has ended or was abandoned comes back.
        """
        if self._last is None:
            self._last = list(self._workers)
        while self._last and (self._last[-1].coroutine is None or self._last[-1].is_abandoned):
            self._last.pop()
        if not self._last and self._may_end is not None:
            self._may_end.set()
