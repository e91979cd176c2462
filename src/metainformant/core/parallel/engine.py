"""The only loop: hand out chunks, watch the workers, deliver what they finish.

It runs in the caller's thread (or in whichever thread consumes `pieces`), and that thread owns all
state here. Workers are observed and never ask: see `backend.py`. What to do is decided by
`schedule.py`; this module does it.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Generator, Iterator
from time import monotonic

from .backend import Backend, Finished, Job
from .describe import describe, note_failure
from .errors import FATAL, ParallelError, TaskCancelledError, TaskTimeoutError
from .plan import Plan
from .results import Piece
from .schedule import Run, Schedule
from .source import Chunk, Source

# Seconds between two looks at a `cancel` event, which cannot wake us.
_CANCEL_TICK = 0.05


class Engine:
    """One map, from its first chunk to its last outcome.

    Args:
        plan: what to do.
        source: where the chunks come from.
        backend: what runs them.
        early: whether to deliver the finished part of a chunk before its end, as is needed for
            the order of completion and for streams.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        plan: Plan,
        source: Source,
        backend: Backend,
        *,
        early: bool = False,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._plan = plan
        self._source = source
        self._backend = backend
        self._early = early
        self._clock = clock
        self._max_workers = plan.max_workers
        self._stop_at = math.inf if plan.deadline is None else clock() + plan.deadline
        self._schedule = Schedule(
            workers=plan.max_workers,
            chunk_size=plan.chunk_size,
            timeout=plan.timeout,
            watch_order=early,
        )
        self._again: deque[Chunk] = deque()  # work taken back, to be done before any other
        self._runs: dict[Job, Run] = {}  # every chunk that is handed out and has not ended
        self._divisible: dict[Job, Run] = {}  # those that may have items to take back
        self._workers = 0  # those that were neither dismissed nor given up
        self._parting: set[Job] = set()  # what is with workers that end after it
        self._failure: BaseException | None = None  # what `raise_failure` is to raise
        self.stopped: str | None = None  # why the map was stopped before its end
        self._look_at = math.inf  # when all runs are to be looked at again

    def pieces(self) -> Generator[Piece, None, None]:
        """Run the map, yielding outcomes as they come. Closing the iterator stops the map."""
        graceful = False
        try:
            now = self._clock()
            while True:
                act_at = self._hand_out(now)
                if not self._runs:
                    break
                ended = self._backend.wait(self._patience(now, act_at))
                now = self._clock()
                self.stopped = self._stop_reason(now)
                if self._early or self.stopped or now >= self._look_at:
                    yield from self._look(now)
                for job in ended:
                    yield from self._settle(self._runs[job])
                if self._failure is not None:
                    return
                if self.stopped:
                    yield from self._cancel_all(self.stopped)
                    return
            graceful = True
        finally:
            for run in self._runs.values():
                run.job.cut(0)
            self._backend.close(graceful)

    def raise_failure(self) -> None:
        """Raise what ended the map early: the first failure, if so asked, or an exit."""
        failure, self._failure = self._failure, None
        if failure is not None:
            try:
                raise failure
            finally:
                del failure  # its traceback leads to this frame: leave no cycle

    # Handing out

    def _hand_out(self, now: float) -> float:
        """Give every worker something to do; return when to try again if nobody wakes us."""
        while True:
            if self._lacks_workers():
                self._start_worker()
                # That took as long as thousands of tiny tasks: see first who is free by now.
                return math.inf if self._parting else now
            if len(self._runs) >= self._max_workers:
                self._fill_queue(now)
                return math.inf
            chunk = self._next_chunk() or self._take_back(now)
            if chunk is not None:
                self._submit(chunk, now)
            elif self._divisible:
                return now + self._schedule.worth
            else:
                if self._source.left == 0:
                    self._dismiss()
                return math.inf

    def _lacks_workers(self) -> bool:
        wanted = min(self._max_workers, len(self._runs))
        return self._workers + len(self._parting) < wanted

    def _start_worker(self) -> None:
        self._workers += 1
        if self._is_last_wave():
            self._dismiss()  # the new one too: it need not wait for us when it is done
        try:
            self._backend.spawn()
        except ParallelError:
            others = self._workers + len(self._parting) - 1
            if others < 1:
                raise
            self._max_workers = others  # go on with what we have
            self._workers = max(0, self._workers - 1)

    def _is_last_wave(self) -> bool:
        """Whether every run has a worker of its own, and hardly anything can come after them."""
        return (
            self._source.left == 0
            and not self._again
            and not self._divisible
            and len(self._runs) <= self._workers + len(self._parting)
        )

    def _fill_queue(self, now: float) -> None:
        """Keep jobs ready, so that workers go on without waiting for us.

        That matters where all threads share one lock: each time we wake up, we are in their way.
        """
        if self._backend.queued() >= self._max_workers:
            return
        self._backend.remind()
        for _ in range(self._max_workers):
            chunk = self._next_chunk()
            if chunk is None:
                return
            self._submit(chunk, now)

    def _next_chunk(self) -> Chunk | None:
        if self._again:
            return self._again.popleft()
        return self._source.take(self._schedule.chunk_size(self._source.left))

    def _take_back(self, now: float) -> Chunk | None:
        """Half of the largest rest that some worker has not started."""
        shared = self._schedule.share(self._divisible.values(), now)
        for job in [job for job, run in self._divisible.items() if run.rest < 1]:
            del self._divisible[job]
        return self._cut(*shared) if shared else None

    def _cut(self, run: Run, index: int) -> Chunk | None:
        """Take the items from `index` on away from a worker; None if it was faster."""
        first = run.chunk.start
        stop = min(first + run.job.cut(index - first), run.stop)
        rest = run.chunk._replace(start=stop, stop=run.stop)
        run.stop = stop
        return rest if rest.start < rest.stop else None

    def _submit(self, chunk: Chunk, now: float) -> None:
        job = self._backend.submit(chunk.items())
        run = self._runs[job] = Run(job, chunk)
        if run.rest:
            self._divisible[job] = run
        self._look_at = min(self._look_at, self._schedule.first_look(run, now))

    def _dismiss(self) -> None:
        """Let every worker end after its job, now that hardly anything can come after it.

        If something does (a late cut, a timeout), a new worker is started for it.
        """
        self._backend.dismiss(self._workers)
        self._workers = 0
        self._parting.update(self._runs)

    # Watching

    def _patience(self, now: float, act_at: float) -> float | None:
        """For how long to wait if nobody wakes us; None: for ever."""
        at = min(self._look_at, self._stop_at, act_at)
        if self._plan.cancel is not None:
            at = min(at, now + _CANCEL_TICK)
        return None if at == math.inf else max(0.0, at - now)

    def _look(self, now: float) -> Iterator[Piece]:
        """See how far every run is; deliver early if asked to; give up on overdue items."""
        for run in list(self._runs.values()):
            run.look(now)
            if self._early:
                yield from self._deliver(run, run.seen)
            if self._schedule.overdue(run, now):
                yield from self._expire(run)
        self._look_at = self._schedule.look_again(self._runs.values(), now)

    def _settle(self, run: Run) -> Iterator[Piece]:
        """Deliver what is left of a run that ended."""
        self._forget(run)
        job, first = run.job, run.chunk.start
        finished = job.finish()
        done = len(finished.values)
        self._schedule.measured(done, job.ended - (job.started or job.ended))
        if first + done < run.stop:  # cut so late that it was not clear what would be run
            self._again.append(run.chunk._replace(start=first + done, stop=run.stop))
        yield from self._piece(run, finished)

    def _deliver(self, run: Run, stop: int) -> Iterator[Piece]:
        """Deliver the finished items before the index `stop`."""
        if run.delivered < stop:
            yield from self._piece(run, run.job.peek(stop - run.chunk.start))
            run.delivered = stop

    def _expire(self, run: Run) -> Iterator[Piece]:
        """Give up on the item in flight, unless it has just finished after all."""
        index = run.seen
        rest = self._cut(run, index + 1)
        if rest is not None:
            self._again.appendleft(rest)
        if run.chunk.start + run.job.done() == index and self._give_up(run):
            yield from self._deliver(run, index)
            timeout, job = self._plan.timeout or 0.0, run.job
            item = describe(run.chunk.item(index))
            error = TaskTimeoutError(index, item, timeout, job.worker, job.stack())
            yield from self._failed(run.chunk, error)

    def _give_up(self, run: Run) -> bool:
        if not run.job.give_up():
            return False
        if run.job not in self._parting:
            self._workers -= 1
        self._forget(run)
        return True

    def _forget(self, run: Run) -> None:
        del self._runs[run.job]
        self._divisible.pop(run.job, None)
        self._parting.discard(run.job)

    # Stopping

    def _stop_reason(self, now: float) -> str | None:
        plan = self._plan
        if now >= self._stop_at:
            return f"deadline={plan.deadline:g} s has passed"
        if plan.cancel is not None and plan.cancel.is_set():
            return "cancel was set"
        return None

    def _cancel_all(self, reason: str) -> Iterator[Piece]:
        """Turn everything that is not finished into `TaskCancelledError`."""
        for run in list(self._runs.values()):
            job = run.job
            job.cut(0)
            running = job.give_up()
            self._forget(run)
            finished = job.peek(job.done()) if running else job.finish()
            yield from self._piece(run, finished)
            stop = run.chunk.start + len(finished.values)
            if running and job.started is not None and stop < run.stop:
                yield from self._cancelled(run.chunk, stop, reason, started=True)
                stop += 1
            self._again.append(run.chunk._replace(start=stop, stop=run.stop))
        while (chunk := self._again.popleft() if self._again else self._source.rest()) is not None:
            for index in range(chunk.start, chunk.stop):
                yield from self._cancelled(chunk, index, reason, started=False)
                if self._failure is not None:
                    return

    def _cancelled(self, chunk: Chunk, index: int, reason: str, started: bool) -> Iterator[Piece]:
        item = describe(chunk.item(index))
        return self._failed(chunk, TaskCancelledError(index, item, reason, started))

    # Outcomes

    def _failed(
        self, chunk: Chunk, error: TaskTimeoutError | TaskCancelledError
    ) -> Iterator[Piece]:
        """The piece of an item that the engine itself has failed."""
        if not self._ends_the_map(error):
            yield Piece(chunk, error.index, [error], {error.index: error})

    def _piece(self, run: Run, finished: Finished) -> Iterator[Piece]:
        """Those of the finished items that have not been delivered yet, if any."""
        start = run.delivered
        values, failed = finished.since(start - run.chunk.start)
        by_index = {start + position: error for position, error in failed.items()}
        for index, error in by_index.items():
            note_failure(error, index, run.chunk.item(index), attempt=1)
            if self._ends_the_map(error):
                return
        if values:
            yield Piece(run.chunk, start, values, by_index)

    def _ends_the_map(self, error: BaseException) -> bool:
        if self._plan.on_error != "raise" and not isinstance(error, FATAL):
            return False
        if self._failure is None:
            self._failure = error
        return True
