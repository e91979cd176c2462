"""The only loop: hand out chunks, watch the workers, deliver what they finish.

It runs in the caller's thread (or in whichever thread consumes `pieces`), and that thread owns all
state here. Workers are observed and never ask: see `backend.py`. What to do is decided by
`schedule.py`; this module does it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator
from time import monotonic
from typing import Any

from .backend import Backend, Finished, Job
from .describe import describe, note_failure
from .dispatch import Dispatcher
from .errors import ParallelError, TaskCancelledError, TaskTimeoutError, format_stack
from .plan import Plan
from .results import Piece
from .schedule import Run, Schedule
from .source import Chunk, Source
from .stopping import Stop, StopRule


class Engine:
    """One map, from its first chunk to its last outcome.

    Args:
        plan: what to do.
        source: where the chunks come from.
        backend: what runs them.
        early: whether to deliver the finished part of a chunk before its end, as is needed for
            the order of completion and for streams.
        clock: seconds, monotonic.
        began: when the call began, from which its deadline counts; by default now.
    """

    def __init__(
        self,
        plan: Plan,
        source: Source,
        backend: Backend,
        *,
        early: bool = False,
        clock: Callable[[], float] = monotonic,
        began: float | None = None,
    ) -> None:
        self._plan = plan
        self._source = source
        self._backend = backend
        self._early = early
        self._clock = clock
        self._rule = StopRule(plan, clock() if began is None else began)
        self._schedule = Schedule(
            workers=plan.max_workers,
            chunk_size=plan.chunk_size,
            timeout=plan.timeout,
            slow_after=plan.slow_after,
            watch_order=early,
        )
        self._dispatcher = Dispatcher(source, backend, self._schedule, plan.max_workers)
        self._runs = self._dispatcher.runs
        self._given_up: list[Job] = []  # overdue, and perhaps still to be ended
        self._failure: BaseException | None = None  # what `raise_failure` is to raise
        self.stop: Stop | None = None  # why the map was stopped before its end

    def pieces(self) -> Generator[Piece, None, None]:
        """Run the map, yielding outcomes as they come. Closing the iterator stops the map."""
        graceful = False
        try:
            while True:
                now = self._clock()
                act_at = self._hand_out(now)
                if act_at > now:
                    self._end_given_up()  # only now: first of all their places were to be filled
                if not self._runs and self._rule.broken is None:
                    break
                ended = self._backend.wait(self._patience(now, act_at))
                now = self._clock()
                # Nothing may be yielded before all this is done: time passes while the consumer has
                # its turn, and what is seen in flight after it must not be taken for seen before.
                pieces = [piece for job in ended for piece in self._settle(self._runs[job])]
                if self._early or now >= self._dispatcher.look_at:
                    pieces.extend(self._look(now))
                self.stop = self._rule.stop(now)
                yield from pieces
                if self._failure is not None:
                    return
                if self.stop is not None:
                    yield from self._cancel_all(self.stop)
                    return
            graceful = True
        finally:
            for run in self._runs.values():
                run.job.cut(0)
            self._end_given_up()
            self._backend.close(graceful)

    def raise_failure(self, results: list[Any] | None = None) -> None:
        """Raise what ended the map early: the first failure, if so asked, or an exit.

        If the map was stopped as a whole, the error gets `results`, all that there is.
        """
        failure, self._failure = self._failure, None
        if failure is not None:
            if isinstance(failure, ParallelError) and self.stop is not None:
                failure.results = results
            try:
                raise failure
            finally:
                del failure  # its traceback leads to this frame: leave no cycle

    def _hand_out(self, now: float) -> float:
        try:
            return self._dispatcher.hand_out(now)
        except ParallelError as error:  # there is no worker, and none can be had
            self._rule.broken = error
            return now

    # Watching

    def _patience(self, now: float, act_at: float) -> float | None:
        """For how long to wait if nobody wakes us; None: for ever."""
        at = min(self._dispatcher.look_at, self._rule.look_at(now), act_at)
        return None if at == math.inf else max(0.0, at - now)

    def _look(self, now: float) -> Iterator[Piece]:
        """See how far every run is; deliver early if asked to; give up on overdue items."""
        for run in list(self._runs.values()):
            run.look(now)
            if self._early:
                yield from self._deliver(run, run.seen)
            overdue_at = self._schedule.overdue_at(run)
            if now >= overdue_at:
                yield from self._expire(run)
                continue
            if overdue_at < math.inf:
                run.job.expires = (run.seen - run.chunk.start, overdue_at)
            if self._schedule.slow(run, now):
                self._tell_slow(run, now)
        self._dispatcher.look_at = self._schedule.look_again(self._runs.values(), now)

    def _settle(self, run: Run) -> Iterator[Piece]:
        """Deliver what is left of a run that ended."""
        self._dispatcher.forget(run)
        job, first = run.job, run.chunk.start
        finished = job.finish()
        done = len(finished.values)
        self._schedule.measured(done, job.ended - (job.started or job.ended))
        if first + done < run.stop:  # cut so late that it was not clear what would be run
            self._dispatcher.again.append(run.chunk._replace(start=first + done, stop=run.stop))
        yield from self._piece(run, finished)

    def _deliver(self, run: Run, stop: int) -> Iterator[Piece]:
        """Deliver the finished items before the index `stop`."""
        if run.delivered < stop:
            yield from self._piece(run, run.job.peek(stop - run.chunk.start))
            run.delivered = stop

    def _expire(self, run: Run) -> Iterator[Piece]:
        """Give up on the item in flight, unless it has just finished after all."""
        index = run.seen
        rest = self._dispatcher.cut(run, index + 1)
        if rest is not None:
            self._dispatcher.again.appendleft(rest)
        if run.chunk.start + run.job.done() == index and self._dispatcher.give_up(run):
            job, timeout = run.job, self._plan.timeout or 0.0
            stack = job.stack()
            self._given_up.append(job)
            yield from self._deliver(run, index)
            item = describe(run.chunk.item(index))
            error = TaskTimeoutError(index, item, timeout, job.worker, stack, job.is_running)
            yield from self._failed(run.chunk, error)

    def _end_given_up(self) -> None:
        if self._given_up:
            while self._given_up:
                self._given_up.pop().interrupt()
            self._rule.stuck = self._backend.stuck()

    def _tell_slow(self, run: Run, now: float) -> None:
        import logging  # slow to import, and needed only by those who ask for it

        run.told_slow = run.seen
        logger = logging.getLogger("metainformant.parallel")
        if not logger.handlers:  # else Python itself would print what nobody asked to see
            logger.addHandler(logging.NullHandler())
        logger.warning(
            "%s: item %d (%s) has been running for %.3g s on %r:\n%s",
            self._plan.caller,
            run.seen,
            describe(run.chunk.item(run.seen)),
            now - (now if run.since is None else run.since),
            run.job.worker,
            format_stack(run.job.stack()),
        )

    # Stopping

    def _cancel_all(self, stop: Stop) -> Iterator[Piece]:
        """Turn everything that is not finished into `TaskCancelledError`."""
        unfinished: list[tuple[Chunk, bool]] = []  # and whether it had been started
        for run in list(self._runs.values()):
            job = run.job
            job.cut(0)
            running = self._dispatcher.give_up(run)
            if not running:
                self._dispatcher.forget(run)
            finished = job.peek(job.done()) if running else job.finish()
            yield from self._piece(run, finished)
            at = run.chunk.start + len(finished.values)
            if running and job.started is not None and at < run.stop:
                job.interrupt()
                unfinished.append((run.chunk._replace(start=at, stop=at + 1), True))
                at += 1
            unfinished.append((run.chunk._replace(start=at, stop=run.stop), False))
        unfinished.extend((chunk, False) for chunk in self._dispatcher.again)
        while (chunk := self._source.rest()) is not None:
            unfinished.append((chunk, False))
        first: tuple[int, str, bool] | None = None
        for chunk, started in unfinished:
            for index in range(chunk.start, chunk.stop):
                item = describe(chunk.item(index))
                if first is None or index < first[0]:
                    first = (index, item, started)
                error = TaskCancelledError(index, item, stop.reason, started)
                yield Piece(chunk, index, [error], {index: error})
        if self._failure is None and (stop.always_raises or self._plan.on_error == "raise"):
            self._failure = stop.error(first)

    # Outcomes

    def _failed(self, chunk: Chunk, error: TaskTimeoutError) -> Iterator[Piece]:
        """The piece of an item that the engine itself has failed."""
        self._rule.saw(1, 1)
        if not self._ends_the_map(error):
            yield Piece(chunk, error.index, [error], {error.index: error})

    def _piece(self, run: Run, finished: Finished) -> Iterator[Piece]:
        """Those of the finished items that have not been delivered yet, if any."""
        start = run.delivered
        values, failed, _ = finished.since(start - run.chunk.start)
        self._rule.saw(len(values), len(failed))
        by_index = {start + position: error for position, error in failed.items()}
        for index, error in by_index.items():
            note_failure(error, index, run.chunk.item(index), attempt=1)
            if self._ends_the_map(error):
                return
        if values:
            yield Piece(run.chunk, start, values, by_index)

    def _ends_the_map(self, error: BaseException) -> bool:
        if not self._rule.is_final(error):
            return False
        if self._failure is None:
            self._failure = error
        return True
