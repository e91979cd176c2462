"""Workers that are those of a `concurrent.futures.Executor` which somebody else owns.

Nothing of a running future can be seen or taken back. So a chunk is handed over when a worker
should be free for it, no sooner, and whoever runs it there watches its items: see `worker.py`.
"""

from __future__ import annotations

import itertools
import os
import queue
from collections import deque
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from typing import Any

from ...calls import MapCall
from ...describe import describe, error_in_words
from ...engine.backend import Finished
from ...engine.event_queue import taken
from ...engine.source import Chunk
from ...errors import FATAL, ParallelError
from ..ipc import pickling as pickling
from .job import ExecutorJob
from .messages import ChunkRequest, ChunkResult, RequestRunner, packed_func


class ExecutorBackend:
    """The workers of an executor, which gets as many jobs at a time as it has workers.

    Args:
        call: what to do.
        executor: whose workers are used. It is never shut down.
        run: what runs a ChunkRequest in a worker.
        keep_times: whether it is noted when each item was started.
    """

    max_chunk: int | None = None
    has_queue = True
    can_watch = False
    share_gil = False
    truncates_late = False
    share_thread = False
    capacity: int | None = None

    def __init__(
        self,
        call: MapCall,
        executor: Executor,
        run: Callable[[ChunkRequest], ChunkResult],
        *,
        keep_times: bool = False,
    ) -> None:
        self._call = call
        self._executor = executor
        self._run = RequestRunner(run)
        self._token = os.urandom(8).hex()
        self._numbers = itertools.count()
        self._keep_times = keep_times
        self._tells_running = _tells_running(executor)
        # All state is owned by the engine's thread, except the queue of what has happened, which
        # the executor's threads add to. None: somebody wants to wake us.
        self._events: queue.SimpleQueue[tuple[ExecutorJob, Future[Any]] | None] = (
            queue.SimpleQueue()
        )
        self._queue: deque[ExecutorJob] = deque()
        self._given: set[ExecutorJob] = set()  # handed over and not ended
        self._ended: list[ExecutorJob] = []
        self._workers = 0  # how many the engine counts on
        self._refusal: ParallelError | None = None  # why nothing more can be handed over
        self._abandoned_calls = 0
        # Whether the map is going to end as soon as the engine sees what has failed.
        self._is_ending = False

    def spawn(self) -> None:
        if self._refusal is not None:
            raise self._refusal
        self._workers += 1

    def submit(self, chunk: Chunk, *, keep_times: bool = False) -> ExecutorJob:
        place = type(self._executor).__name__
        job = ExecutorJob(
            chunk.items(),
            chunk.start,
            chunk.attempt,
            place,
            self._steal,
            tells_running=self._tells_running,
        )
        self._queue.append(job)
        return job

    def queued(self) -> int:
        return len(self._queue)

    def remind(self) -> None:
        pass  # `wait` returns whenever a job has ended

    def wait(self, timeout: float | None) -> list[ExecutorJob]:
        self._hand_over()
        if self._ended or self._refusal is not None:
            timeout = 0
        for event in taken(self._events, timeout):
            if event is not None and event[0].future is event[1]:
                self._settle(*event)
        self._hand_over()
        ended, self._ended = self._ended, []
        return ended

    def wake(self) -> None:
        self._events.put(None)

    def abandoned(self) -> int:
        return self._abandoned_calls

    def workers(self) -> int:
        return self._workers

    def dismiss(self) -> None:
        pass  # they are not ours

    def close(self, is_over: Callable[[], bool]) -> None:
        self.abort()  # its workers are not ours

    def abort(self) -> None:
        self._queue.clear()
        for job in self._given:
            if job.future is not None:
                job.future.cancel()

    def _steal(self, job: ExecutorJob) -> None:
        self._given.discard(job)
        self._queue.appendleft(job)

    def _hand_over(self) -> None:
        while self._queue and len(self._given) < self._workers and not self._is_ending:
            job = self._queue.popleft()
            if job.is_abandoned:
                continue
            if not job.items:  # all of it was taken back
                self._end(job, Finished([], {}))
                continue
            job.went_by_value = pickling.main_is_ours_alone
            try:
                job.future = future = self._executor.submit(self._run, self._request(job))
            except Exception as error:
                self._queue.appendleft(job)
                self._refuse(
                    f"takes no more work: {error_in_words(error)}. Pass an executor that is "
                    "neither broken nor shut down",
                    error,
                )
                return
            self._given.add(job)
            # The callback is called at once if the job has been run already.
            future.add_done_callback(lambda future, job=job: self._events.put((job, future)))  # type: ignore[misc]

    def _request(self, job: ExecutorJob) -> ChunkRequest:
        call = self._call
        return ChunkRequest(
            caller=call.caller,
            func=call.func,
            items=job.items,
            first=job.first,
            attempt=job.attempt,
            timeout=call.options.timeout,
            slow_after=call.options.slow_after,
            timed=self._keep_times,
            fail_fast=call.options.fails_fast,
            token=f"{self._token}-{next(self._numbers)}",
        )

    def _settle(self, job: ExecutorJob, future: Future[Any]) -> None:
        """Take the result of a future that is done. A job that ended early is run again."""
        self._given.discard(job)
        try:
            result: ChunkResult = future.result().opened()
        except CancelledError:  # by somebody else
            self._end(job, Finished([], {}))
        except BrokenExecutor as error:
            self._end(job, self._loss(job, error))
        except Exception as error:  # it could not be sent, or not be read there
            self._end(job, Finished([], {}))
            self._refuse_for(error)
        else:
            self._take(job, result)

    def _take(self, job: ExecutorJob, result: ChunkResult) -> None:
        """Take what a worker has done of a job, and see whether there can be more."""
        finished = Finished(result.values, result.failed, result.times)
        self._end(job, finished, result.worker, result.seconds)
        if not job.is_abandoned and self._ends_the_map(result):
            self._is_ending = True
        self._abandoned_calls += result.abandoned
        if result.broken is not None and not self._can_go_by_value(job):
            self._workers, self._refusal = 0, result.broken
        elif self._abandoned_calls > self._call.options.max_abandoned:
            self._refuse(
                f"has {self._abandoned_calls} tasks that were left running, more than "
                f"max_abandoned={self._call.options.max_abandoned}. Give the calls limits of "
                "their own (socket timeouts, say), or raise max_abandoned"
            )

    def _can_go_by_value(self, job: ExecutorJob) -> bool:
        """Return whether a function that a worker could not look up can be sent itself."""
        if job.went_by_value:
            return False
        return pickling.main_is_ours_alone or pickling.send_main_by_value(
            packed_func(self._call.caller, self._call.func)
        )

    def _end(
        self, job: ExecutorJob, finished: Finished, worker: str = "", seconds: float = 0.0
    ) -> None:
        job.end(finished, worker, seconds)
        if not job.is_abandoned:
            self._ended.append(job)

    def _ends_the_map(self, result: ChunkResult) -> bool:
        if self._call.options.fails_fast:
            may_be_throttled = self._call.options.may_be_throttled
            return not all(map(may_be_throttled, result.failed.values()))
        return any(isinstance(error, FATAL) for error in result.failed.values())

    def _loss(self, job: ExecutorJob, error: BaseException) -> Finished:
        """Return the failures of a chunk that was lost: nobody knows which items were run."""
        failed: dict[int, BaseException] = {}
        for at, item in enumerate(job.items):
            failed[at] = ParallelError(
                f"item {job.first + at} ({describe(item)}) was lost together with its chunk, and "
                f"may have been run or not: the executor is broken: {error_in_words(error)}"
            )
            failed[at].__cause__ = error
        return Finished(list(failed.values()), failed)

    def _refuse_for(self, error: Exception) -> None:
        """Say why a chunk could not be sent: of all that is in it, only the function can't be."""
        if isinstance(error, ModuleNotFoundError) and (error.name or "").startswith(_PACKAGE):
            self._refuse(
                f"has a worker that can't import {_PACKAGE}. Install it where the workers run, in "
                "the same version as here",
                error,
            )
            return
        try:
            packed_func(self._call.caller, self._call.func)
        except ParallelError as failure:
            self._workers, self._refusal = 0, failure
        else:
            self._refuse(f"could not run a chunk: {error_in_words(error)}", error)

    def _refuse(self, why: str, cause: BaseException | None = None) -> None:
        """Let the engine find that there is no worker, and none to be had."""
        self._workers = 0
        self._refusal = ParallelError(f"{self._call.caller}: backend={self._executor!r} {why}")
        self._refusal.__cause__ = cause


_PACKAGE = "metainformant"

# Whose executors have futures that are running before their call begins. Of Dask's, none ever is.
_TRUTHFUL = ("concurrent", "loky", "joblib", "mpi4py")


def _tells_running(executor: Executor) -> bool:
    """Return whether a future of this executor that can be cancelled is certain not to run."""
    bases = [base.__module__ for base in type(executor).__mro__ if base is not Executor]
    return any(module.split(".")[0] in _TRUTHFUL for module in bases)
