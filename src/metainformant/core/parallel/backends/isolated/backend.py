"""The backend for workers that share no objects with us: processes and interpreters.

Jobs are handed to workers one at a time, when they are free. That costs a round trip per job, some
tens of microseconds, for jobs that are meant to take much longer; and it is always known what a
worker had in handle when it died.
"""

from __future__ import annotations

import contextlib
import itertools
import math
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Any

from ...describe import describe
from ...errors import ParallelError, WorkerDiedError
from ...options import MapCall
from ..ipc.exceptions import unpack
from ..ipc.wakeup import Wakeup
from .handle import WorkerHandle
from .job import RemoteJob
from .requests import pack_items
from .result_buffer import CAPACITY
from .worker import RunChunk
from .worker_group import WorkerGroup
from .worker_pool import WorkerPool

# Ctrl-C may have to get through between two waits (on Windows), and the end of a worker whose
# children keep its pipes open is only seen by asking.
_LONGEST_WAIT = 0.1
# With a `memory_limit`, seconds between two looks at how much memory workers use.
_MEMORY_TICK = 0.05

# Of all jobs of this process, so that a worker never takes one for another. next() is atomic.
_numbers = itertools.count(1)


class RemoteBackend:
    """Workers that are sent jobs, and whose result buffers are read.

    Args:
        call: what to do.
        pool: where workers come from.
        owns_pool: whether that ends with this map.
        keep_times: whether it is noted when each item was started.
    """

    max_chunk: int | None = CAPACITY
    has_queue = False
    can_watch = True

    def __init__(
        self, call: MapCall, pool: WorkerPool, *, owns_pool: bool = True, keep_times: bool = False
    ) -> None:
        self._call = call
        self._pool = pool
        self._owns_pool = owns_pool
        self._group = WorkerGroup(call, pool)
        self._keep_times = keep_times
        self._longest = _LONGEST_WAIT if call.options.memory_limit is None else _MEMORY_TICK
        # All state is owned by the engine's thread, but for the pipe that wakes it.
        self._queue: deque[RemoteJob | None] = deque()  # None: a reminder
        self._ended: list[RemoteJob] = []
        self._news = False  # whether there is something to tell of besides
        self._wakeup = Wakeup()
        self._group.poller.add(self._wakeup.reader, None)

    def spawn(self) -> None:
        self._group.wanted += 1
        try:
            self._group.acquire()
        except BaseException:
            self._group.wanted -= 1
            raise

    def submit(self, items: list[Any], first: int, attempt: int) -> RemoteJob:
        number = next(_numbers)
        job = RemoteJob(
            items,
            first,
            attempt,
            number,
            self._group.worker_abandoned,
            self._hear_all,
            timed=self._keep_times,
        )
        self._queue.append(job)
        return job

    def queued(self) -> int:
        return len(self._queue)

    def remind(self) -> None:
        self._queue.append(None)

    def wait(self, timeout: float | None) -> list[RemoteJob]:
        until = monotonic() + min(self._longest, math.inf if timeout is None else timeout)
        self._assign()
        while not self._news:
            now = monotonic()
            self._receive(max(0.0, min(until, self._group.next_overdue()) - now))
            self._group.kill_overdue()
            self._group.watch_memory()
            self._group.replace()
            self._assign()
            if now >= until:
                break
        self._news = False
        ended, self._ended = self._ended, []
        return ended

    def wake(self) -> None:
        self._wakeup.set()

    def workers(self) -> int:
        return self._group.wanted

    def abandoned(self, most: int) -> int:
        return self._group.abandoned()

    def dismiss(self) -> None:
        pass  # a worker is too dear to be ended before the map is

    def close(self, is_over: Callable[[], bool]) -> None:
        self._close(is_over)

    def abort(self) -> None:
        self._close(None)

    def _close(self, is_over: Callable[[], bool] | None) -> None:
        self._queue.clear()
        try:
            for handle in self._group.handles:
                if handle.job is not None:
                    handle.job.truncate(0)
                    handle.job.is_abandoned = True
                    handle.end_call(handle.job.number, handle.job.completed())
                    self._group.kill_after_grace(handle)
            while any(handle.job is not None for handle in self._group.handles):
                try:
                    self._receive(max(0.0, self._group.next_overdue() - monotonic()))
                except Exception:
                    if is_over is not None:
                        raise  # else something else is raised, which must not be hidden
                self._group.kill_overdue()
        finally:
            handles, self._group.handles = self._group.handles, []
            for handle in handles:
                if handle.job is None:
                    self._pool.release(handle)
                else:
                    self._group.reap(handle)
                    handle.job.part()
            self._wakeup.close()
            if self._owns_pool:
                self._pool.close(is_over)

    def _assign(self) -> None:
        """Give jobs to those who are free."""
        for handle in self._group.handles:
            if not handle.is_ready or handle.job is not None:
                continue
            while self._queue:
                job = self._queue.popleft()
                if job is None:
                    self._news = True
                elif not job.is_abandoned and job.items:
                    self._send(handle, job)
                    break
                elif not job.is_abandoned:  # all of it was taken back
                    job.is_ended = self._news = True
                    self._ended.append(job)
            else:
                return

    def _send(self, handle: WorkerHandle, job: RemoteJob) -> None:
        most = CAPACITY
        if self._call.options.max_tasks_per_worker is not None:
            most = min(most, self._call.options.max_tasks_per_worker - handle.tasks)
        payload, parts, job.sent = pack_items(job, most)
        job.handle, job.worker, handle.job = handle, handle.name, job
        handle.buffer.prepare(job.sent)
        call = self._call
        run_chunk = RunChunk(
            number=job.number,
            first=job.first,
            size=job.sent,
            attempt=job.attempt,
            timeout=call.options.timeout,
            timed=job.timed,
            fail_fast=call.options.fails_fast,
            wrapped=job.one_by_one,
        )
        try:
            self._group.send_function(handle)
            handle.channel.send_payload(payload, parts, "run", tuple(run_chunk))
        except ConnectionError:  # it has died, which will be seen at once
            return
        except OSError as error:
            raise ParallelError(
                f"{call.caller} can't send its work to {handle.name!r}: {error}"
            ) from error

    # What comes from them

    def _receive(self, timeout: float) -> None:
        ready = self._group.poller.wait(timeout)
        if not ready:
            for handle in [handle for handle in self._group.handles if not handle.is_alive()]:
                self._last_words(handle)
        for waitable, handle in ready:
            if handle is None:
                self._wakeup.clear()
                self._news = True
            elif handle in self._group.handles:
                if waitable is not handle.channel.reader:  # its pipe may be kept open by others
                    self._last_words(handle)
                elif not self._hear(handle) and handle in self._group.handles:
                    self._lost(handle)

    def _hear(self, handle: WorkerHandle) -> bool:
        """Take one message; return False if there will be no more."""
        try:
            message = handle.channel.receive()
        except (EOFError, OSError):
            return False
        self._heard(handle, *message)
        return True

    def _hear_all(self, handle: WorkerHandle) -> None:
        """Take all that a worker has said."""
        with contextlib.suppress(EOFError, OSError):
            while handle in self._group.handles and handle.channel.poll():
                self._heard(handle, *handle.channel.receive())

    def _last_words(self, handle: WorkerHandle) -> None:
        """Take what a worker that has ended had said before, and let go of it."""
        self._hear_all(handle)
        if handle in self._group.handles:
            self._lost(handle)

    def _heard(self, handle: WorkerHandle, what: str, *message: Any) -> None:
        job: RemoteJob | None = handle.job
        if what == "ready":
            handle.is_ready = True
            self._assign()
            self._news = self._news or handle.job is None
        elif what == "broken":
            self._group.forget(handle)  # or another map would get it before it has ended
            self._group.reap(handle)
            raise unpack(message[0], handle.name)
        elif what == "out_of_band":
            read = handle.channel.later(*message[1:])
            if job is not None and not job.is_abandoned:
                job.out_of_band[message[0]] = read
        elif job is not None and job.number == message[0]:
            handle.job = None
            handle.overdue_at = math.inf
            handle.tasks += job.sent
            self._news = True
            if job.is_abandoned:
                job.part()
            elif what == "no function":
                handle.function = None  # it may be readable the next time
                job.resend()
                self._queue.appendleft(job)
                raise unpack(message[1], handle.name)
            elif what == "unread" and job.one_by_one:
                job.end(_unreadable)
                self._ended.append(job)
            elif what == "unread":
                job.resend()
                self._queue.appendleft(job)
            else:
                job.end()
                self._ended.append(job)
            if handle.must_be_replaced or handle.tasks >= (
                self._call.options.max_tasks_per_worker or math.inf
            ):
                self._group.retire(handle)

    def _lost(self, handle: WorkerHandle) -> None:
        """A worker has ended that should not have, or was killed."""
        self._group.forget(handle)
        reason = self._group.reap(handle)
        if not handle.is_ready:
            raise ParallelError(
                f"{self._call.caller}: the worker {handle.name!r} {reason} before it was ready to "
                "run anything. If this is a script, start its work below "
                "`if __name__ == '__main__':`, since each worker imports the script; see above "
                "for what it printed."
            )
        job: RemoteJob | None = handle.job
        if job is None or not job.is_abandoned:
            self._group.wanted -= 1
        self._news = True
        if job is None:
            return
        if job.is_abandoned:
            job.part()
            return
        if not job.has_begun() and not job.one_by_one:
            # It died reading the items, or before. One by one it will be seen which it was.
            job.resend()
            self._queue.appendleft(job)
            return

        def loss(index: int, item: Any) -> BaseException:
            return WorkerDiedError(index, describe(item), handle.name, handle.pid, reason)

        job.end(loss)
        self._ended.append(job)


def _unreadable(index: int, item: Any) -> BaseException:
    return ParallelError(
        f"item {index} ({describe(item)}) can't be read in a worker, not even on its own; "
        "it may be out of memory"
    )
