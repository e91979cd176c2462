"""The workers of one map at work: they are given jobs and listened to."""

from __future__ import annotations

import contextlib
import math
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Any

from ...calls import MapCall
from ...describe import describe
from ...errors import Frame, ParallelError, WorkerDiedError
from ..ipc.exceptions import unpack
from ..ipc.payload import Payload
from ..ipc.pickling import send_main_by_value
from .handle import WorkerHandle
from .job import IsolatedJob
from .job_state import JobState
from .main_guard import MAIN_GUARD, unguarded
from .messages import (
    Broken,
    Done,
    FromWorker,
    NoFunction,
    OutOfBand,
    Ready,
    RunChunk,
    SetFunction,
    Unread,
    receive,
    send,
)
from .requests import pack_function, pack_items
from .result_buffer import CAPACITY
from .worker_pool import WorkerPool
from .worker_set import WorkerSet

# Seconds that one round of the engine may wait for workers to say where they are.
_STACK_SECONDS = 0.1


class WorkerGroup:
    """The workers of a map, and the jobs that they have or will get.

    Owned by the engine's thread.

    Attributes:
        queue: jobs that wait for a worker; None for a reminder of the engine.
        ended: jobs that have ended and that the engine was not told of.
        has_news: whether the engine is to be told of something.
    """

    def __init__(self, call: MapCall, pool: WorkerPool) -> None:
        self._call = call
        self._func = pool.pack_function(call.caller, call.func) if pool.needs_function else None
        self._sends_handles = pool.sends_handles
        self._most_tasks = call.options.max_tasks_per_worker or math.inf
        self.workers: WorkerSet = WorkerSet(pool)
        self.queue: deque[IsolatedJob | None] = deque()
        self.ended: list[IsolatedJob] = []
        self.has_news: bool = False
        self._stack_until: float | None = None  # when this round of the engine has waited enough

    # Jobs that are abandoned

    def worker_abandoned(self, handle: WorkerHandle) -> None:
        """Learn that a job was abandoned which this worker has. The worker may come back soon.

        The engine no longer counts on the worker. If it then asks for another, that is this one if
        it comes back, and else a new one as soon as this one was killed.
        """
        self.workers.wanted -= 1
        self.workers.kill_after_grace(handle)

    def abandon_all(self) -> None:
        """Abandon all jobs, for a map that ends."""
        self.queue.clear()
        for handle in self.workers.handles:
            job = handle.job
            if job is not None:
                if job.state is not JobState.ABANDONED:
                    job.truncate(0)
                    job.abandon()
                job.completed()
                job.interrupt()
                self.workers.kill_after_grace(handle)

    def begin_round(self) -> None:
        """Learn that the engine goes on to its next round."""
        self._stack_until = None

    def stack(self, handle: WorkerHandle) -> tuple[Frame, ...]:
        """Return where a worker is, if it tells before all that were asked in this round took long.

        A worker answers at once, unless it is stopped or keeps its GIL.
        """
        now = monotonic()
        if self._stack_until is None:
            self._stack_until = now + _STACK_SECONDS
        return handle.stack(max(0.0, self._stack_until - now))

    # Sending jobs

    def assign(self) -> None:
        """Give queued jobs to workers that are free."""
        if not self.queue:
            return
        for handle in self.workers.handles:
            if handle.is_ready and handle.job is None:
                job = self._next_job()
                if job is None:
                    return
                self._send(handle, job)

    def _next_job(self) -> IsolatedJob | None:
        while self.queue:
            job = self.queue.popleft()
            if job is None:
                self.has_news = True
            elif job.state is JobState.DROPPED:
                continue
            elif job.items:
                return job
            else:  # all of them were taken back
                self._end(job)
        return None

    def _send(self, handle: WorkerHandle, job: IsolatedJob) -> None:
        call = self._call
        packed, count = pack_items(
            job, int(min(CAPACITY, self._most_tasks - handle.tasks)), handles=self._sends_handles
        )
        job.was_sent(handle, count)
        handle.job = job
        handle.buffer.prepare(count)
        try:
            self._send_function(handle)
            send(
                handle.channel,
                RunChunk(
                    number=job.number,
                    first=job.first,
                    size=count,
                    attempt=job.attempt,
                    timeout=call.options.timeout,
                    timed=job.timed,
                    measured=call.options.is_reported,
                    fail_fast=call.options.fails_fast,
                    one_by_one=job.one_by_one,
                    items=handle.channel.attach(packed),
                ),
            )
            self.workers.send_rest_later(handle)
        except ConnectionError:  # it has died, which will be seen at once
            return
        except OSError as error:
            raise ParallelError(
                f"{call.caller} can't send its work to {handle.name!r}: {error}"
            ) from error

    def _send_function(self, handle: WorkerHandle) -> None:
        """Let a worker that listens know the function; OSError if that can't be."""
        if self._func is None or _is_same(handle.func, self._func[0]):
            return
        func = handle.channel.attach(self._func)
        send(handle.channel, SetFunction(self._call.caller, func))
        handle.func = self._func[0]

    # What workers send

    def receive(self, handle: WorkerHandle) -> None:
        """Take one message of a worker if it is whole, or learn that there will be no more."""
        message: FromWorker | None = None
        try:
            message = receive(handle.channel)
            is_gone = False
        except (EOFError, OSError):
            is_gone = True
        if is_gone:  # out of the handler, or what is raised would tell of that exception too
            self._lost(handle)
        elif message is not None:
            self.on_message(handle, message)

    def receive_pending(self, handle: WorkerHandle) -> None:
        """Take all messages that a worker has sent."""
        with contextlib.suppress(EOFError, OSError):
            while handle in self.workers.handles:
                message: FromWorker | None = receive(handle.channel)
                if message is None:
                    return
                self.on_message(handle, message)

    def receive_last(self, handle: WorkerHandle) -> None:
        """Take what a worker that has ended had sent before, and part with it."""
        self.receive_pending(handle)
        if handle in self.workers.handles:
            self._lost(handle)

    def on_message(self, handle: WorkerHandle, message: FromWorker) -> None:
        """Do what a message of a worker asks for.

        Raises:
            ParallelError: if the worker could not be prepared, or the function not be read.
        """
        job = handle.job
        match message:
            case Done(number) | Unread(number) | NoFunction(number):
                if job is not None and job.number == number:
                    self._on_return(handle, job, message)
            case OutOfBand(position, result):
                read = handle.channel.open_later(result)
                if job is not None:
                    job.results.out_of_band[position] = read
            case Ready():
                handle.is_ready = True
                self.assign()
                self.has_news = self.has_news or handle.job is None
            case Broken(error):
                self.workers.forget(handle)  # or another map would get it before it has ended
                self.workers.reap(handle)
                raise unpack(error, handle.name)

    def _on_return(
        self, handle: WorkerHandle, job: IsolatedJob, message: Done | Unread | NoFunction
    ) -> None:
        """Take back a worker that has ended its job."""
        handle.job = None
        handle.overdue_at = math.inf
        handle.tasks += job.sent
        self.has_news = True
        if job.state is JobState.ABANDONED:
            job.drop()
        else:
            match message:
                case Done():
                    self._end(job)
                case Unread() if job.one_by_one:
                    self._end(job, _unreadable)
                case Unread():
                    self._requeue(job)
                case NoFunction(_, error):
                    func, handle.func = handle.func, None  # it may be readable the next time
                    self._requeue(job, one_by_one=False)
                    failure = unpack(error, handle.name)
                    # Only what was not found in `__main__` is sent another way.
                    is_missing = isinstance(failure.__cause__, AttributeError)
                    if not (is_missing and self._has_newer_function(func)):
                        raise failure
        if handle.must_be_replaced or handle.tasks >= self._most_tasks:
            self.workers.retire(handle)

    def _has_newer_function(self, sent: Payload | None) -> bool:
        """Return whether the function is another payload than what could not be read, by now."""
        if self._func is None:
            return False
        if sent is None or sent == self._func[0]:
            if not send_main_by_value(self._func[0].body):
                return False
            self._func = pack_function(self._call.caller, self._call.func)
        return True

    def _lost(self, handle: WorkerHandle) -> None:
        """Take note of a worker that has ended and should not have, or was killed."""
        self.workers.forget(handle)
        reason = self.workers.reap(handle)
        if handle.is_unguarded():
            raise unguarded(self._call.caller)
        if not handle.is_ready:
            raise ParallelError(
                f"{self._call.caller}: the worker {handle.name!r} {reason} before it was ready to "
                f"run anything; see above for what it printed. {MAIN_GUARD}."
            )
        job = handle.job
        self.has_news = True
        if job is not None and job.state is JobState.ABANDONED:
            job.drop()
            return
        self.workers.wanted -= 1
        if job is None:
            return
        if not job.has_begun() and not job.one_by_one:
            # It died reading the items, or before. One by one it will be seen which it was.
            self._requeue(job)
            return

        def loss(index: int, item: Any) -> BaseException:
            return WorkerDiedError(index, describe(item), handle.name, handle.pid, reason)

        self._end(job, loss)

    def _end(
        self, job: IsolatedJob, loss: Callable[[int, Any], BaseException] | None = None
    ) -> None:
        job.end(loss)
        self.ended.append(job)
        self.has_news = True

    def _requeue(self, job: IsolatedJob, *, one_by_one: bool = True) -> None:
        job.requeue(one_by_one=one_by_one)
        self.queue.appendleft(job)


def _is_same(sent: Payload | None, func: Payload) -> bool:
    """Return whether a worker has this very payload, or one that reads the same."""
    return sent is func or (func.body is not None and sent == func)


def _unreadable(index: int, item: Any) -> BaseException:
    return ParallelError(
        f"item {index} ({describe(item)}) can't be read in a worker, not even on its own; "
        "it may be out of memory"
    )
