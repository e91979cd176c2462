"""Workers that are tasks of an event loop.

They take jobs from one queue, as threads do, and the engine watches them in the same way. The loop
runs in a thread of its own, or it is the caller's. A call that blocks a loop of our own, in which
then nothing else gets on, has that loop for itself: the map goes on in another.
"""

from __future__ import annotations

import asyncio
import queue
from time import monotonic

from ...worker.frames import own_frame
from ..threads.backend import ThreadBackend
from .callers_loop import CallersLoop
from .job import CoroutineJob
from .loop_thread import LoopThread
from .worker import Worker, forget_cancelling

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ...calls import MapCall
    from ...engine.source import Chunk
    from ..threads.job import ThreadJob
    from .worker_loop import WorkerLoop

_LAST_TICK = 0.05  # seconds between two looks, while workers end, at whether that takes too long


class AsyncioBackend(ThreadBackend):
    """Tasks that take jobs from one queue, each until it is told to end.

    Args: see `ThreadBackend`.
    """

    share_gil = True  # there is one thread for all of them
    share_thread = True
    _job_class: type[ThreadJob] = CoroutineJob

    def __init__(self, call: MapCall, **options: Any) -> None:
        super().__init__(call, **options)
        self._measures = False  # all calls share the processor time of one thread
        self._call = call
        # The last one is in use. Owned by the engine's thread.
        self._loops: list[WorkerLoop] = []
        # Whether the loop has to look. It is woken when the engine begins to wait, for all that
        # was handed out until then: both need the GIL, and each wake is a call of the system.
        self._has_news = False

    def spawn(self) -> None:
        if not self._loops or self._loops[-1].is_given_up:
            self._start_loop()
        loop = self._loops[-1]
        worker = Worker(f"{self._label}-{next(self._numbers)}", loop)
        self._group.threads.add(worker)
        loop.add(worker)
        self._has_news = True

    def _start_loop(self) -> None:
        work = (self._call, self._context, self._work_in_loop, self._ready.qsize, self._report)
        callers = self._call.workers.loop
        loop = LoopThread(*work) if callers is None else CallersLoop(callers, *work)
        loop.start()
        self._loops.append(loop)

    def submit(self, chunk: Chunk, *, keep_times: bool = False) -> ThreadJob:
        self._has_news = True
        return super().submit(chunk, keep_times=keep_times)

    def remind(self) -> None:
        super().remind()
        self._has_news = True

    def dismiss(self) -> None:
        super().dismiss()
        self._has_news = True

    def wait(self, timeout: float | None) -> list[ThreadJob]:
        if self._has_news:
            self._has_news = False
            if self._loops:
                self._loops[-1].wake()
        return super().wait(timeout)

    def _close(self, is_over: Callable[[], bool] | None) -> None:
        self._group.closed = True
        for loop in self._loops:
            loop.close(cancel=is_over is None)
        super()._close(is_over)

    def _await_workers(self, is_over: Callable[[], bool]) -> None:
        for loop in self._loops:
            while not loop.has_ended():
                if is_over():
                    return
                loop.wait(_LAST_TICK)

    # The worker's side

    @own_frame
    async def _work_in_loop(self, worker: Worker) -> None:
        """Run jobs until there are no more. What fails here is ours: the engine must hear of it."""
        worker.task = asyncio.current_task()
        goes_on = True
        while goes_on:
            try:
                goes_on = await self._work_once_in_loop(worker)
            except asyncio.CancelledError:  # it had nothing to do; if it is to end, it sees that
                forget_cancelling()
            except BaseException as error:
                self._report(error)
                return

    @own_frame
    async def _work_once_in_loop(self, worker: Worker) -> bool:
        """Take the next job or reminder; return False to end."""
        if monotonic() > worker.loop.turn_ends:
            await worker.loop.take_turns()  # while there is no job that this could keep back
        if self._group.closed:
            return False
        if worker.loop.is_closing:
            self._leave(worker)
            return False
        try:
            job: Any = self._ready.get_nowait()
        except queue.Empty:
            if self._group.parting:
                self._leave(worker)
                return False
            self._events.put(None)
            await worker.loop.park()
            return True
        if job is None:
            self._events.put(None)
            return True
        urgent = await job.run_in(worker, worker.loop.func, self._fail_fast, self._keeps_locals)
        return self._hand_in(job, urgent)

    def _leave(self, worker: Worker) -> None:
        """Let the engine know that a worker ends."""
        self._left.append(worker)
        self._events.put(None)
