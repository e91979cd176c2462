"""The backend for workers that share no objects with us: processes and interpreters.

Jobs are sent to workers one at a time, when they are free. That costs a round trip per job, some
tens of microseconds, for jobs that are meant to take much longer; and it is always known what a
worker had when it died.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from time import monotonic

from ...calls import MapCall
from ...engine.source import Chunk
from .job import IsolatedJob
from .result_buffer import CAPACITY
from .worker_group import WorkerGroup
from .worker_pool import WorkerPool

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..ipc.wakeup import Wakeup

# Ctrl-C may have to get through between two waits (on Windows), and the end of a worker whose
# children keep its pipes open is only seen by asking.
_LONGEST_WAIT = 0.1
# With a `memory_limit`, seconds between two looks at how much memory workers use.
_MEMORY_TICK = 0.05

# Of all jobs of this process, so that a worker never takes one for another. next() is atomic.
_numbers = itertools.count(1)


class IsolatedBackend:
    """Workers that are sent jobs, and whose result buffers are read.

    Args:
        call: what to do.
        pool: where workers come from.
        owns_pool: whether the pool ends with this map.
        keep_times: whether workers note when each item is started.
        can_wake: whether `wake` is to take effect at once; else it does within 0.1 s.
    """

    max_chunk: int | None = CAPACITY
    has_queue = False
    can_watch = True
    share_gil = False
    truncates_late = False
    share_thread = False
    capacity: int | None = None

    def __init__(
        self,
        call: MapCall,
        pool: WorkerPool,
        *,
        owns_pool: bool = True,
        keep_times: bool = False,
        can_wake: bool = False,
    ) -> None:
        self._pool = pool
        self._owns_pool = owns_pool
        self._keep_times = keep_times
        self._memory_limit = call.options.memory_limit
        self._longest_wait = _LONGEST_WAIT if call.options.memory_limit is None else _MEMORY_TICK
        # All state is owned by the engine's thread, except for what `wake` changes.
        self._group = WorkerGroup(call, pool)
        self._workers = self._group.workers
        self._wakeup: Wakeup | None = None
        if can_wake:
            from ..ipc.wakeup import Wakeup  # for streams only

            self._wakeup = Wakeup()
            self._workers.poller.add(self._wakeup.reader, None)

    def spawn(self) -> None:
        self._workers.wanted += 1
        try:
            self._workers.acquire()
        except BaseException:
            self._workers.wanted -= 1
            raise

    def submit(self, chunk: Chunk, *, keep_times: bool = False) -> IsolatedJob:
        number = next(_numbers)
        items, first, attempt = chunk.items(), chunk.start, chunk.attempt
        job = IsolatedJob(items, first, attempt, number, self._group, timed=self._keep_times)
        self._group.queue.append(job)
        return job

    def queued(self) -> int:
        return len(self._group.queue)

    def remind(self) -> None:
        self._group.queue.append(None)

    def wait(self, timeout: float | None) -> list[IsolatedJob]:
        group, workers = self._group, self._workers
        until = monotonic() + min(self._longest_wait, math.inf if timeout is None else timeout)
        group.begin_round()
        group.assign()
        while not group.has_news:
            now = monotonic()
            self._receive(max(0.0, min(until, workers.next_overdue()) - now))
            workers.kill_overdue()
            if self._memory_limit is not None:
                workers.watch_memory(self._memory_limit)
            workers.replace()
            group.assign()
            if monotonic() >= until:
                break
        group.has_news = False
        ended, group.ended = group.ended, []
        return ended

    def wake(self) -> None:
        if self._wakeup is None:
            self._group.has_news = True
        else:
            self._wakeup.set()

    def workers(self) -> int:
        return self._workers.wanted

    def abandoned(self) -> int:
        return self._workers.abandoned()

    def dismiss(self) -> None:
        pass  # a worker is too dear to be ended before the map is

    def close(self, is_over: Callable[[], bool]) -> None:
        self._end(lambda: self._pool.close(is_over), raises=True)

    def abort(self) -> None:
        self._end(self._pool.abort, raises=False)

    def _end(self, end_pool: Callable[[], None], *, raises: bool) -> None:
        group, workers = self._group, self._workers
        try:
            group.abandon_all()
            while any(handle.job is not None for handle in workers.handles):
                try:
                    self._receive(max(0.0, workers.next_overdue() - monotonic()))
                except Exception:
                    if raises:
                        raise
                workers.kill_overdue()
        finally:
            workers.release_all()
            if self._wakeup is not None:
                self._wakeup.close()
            if self._owns_pool:
                end_pool()

    def _receive(self, timeout: float) -> None:
        """Take what workers send, or one of them if none does for so many seconds."""
        group, workers = self._group, self._workers
        ready = workers.poller.wait(timeout)
        if not ready:
            for handle in [handle for handle in workers.handles if not handle.is_alive()]:
                group.receive_last(handle)
        for waitable, handle in ready:
            if handle is None and self._wakeup is not None:
                self._wakeup.clear()
                group.has_news = True
            elif handle in workers.handles:
                if waitable is handle.channel.reader:
                    group.receive(handle)
                elif waitable is handle.channel.writer:
                    workers.send_rest(handle)
                else:  # it has ended; its pipe may be kept open by others
                    group.receive_last(handle)
