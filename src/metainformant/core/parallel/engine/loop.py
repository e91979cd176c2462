"""The only loop: hand out chunks, watch the workers, deliver what they finish.

It runs in the caller's thread (or in whichever thread consumes `batches`), and that thread owns all
state here. Workers are observed and never ask: see `backend.py`. What to do is decided by
`schedule.py`; this module does it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator, Sequence
from time import monotonic
from typing import Any

from ..describe import describe
from ..errors import ParallelError, TaskTimeoutError
from ..observe.progress_bar import Reporter
from ..observe.slow_log import log_slow
from ..options import Plan
from .assignment import Assignment
from .backend import Backend, Job
from .completion import Completion
from .dispatcher import Dispatcher
from .outcome_batch import OutcomeBatch
from .policies.schedule import Schedule
from .policies.stopping import Stop, StopRule, Unfinished
from .source import Source
from .unfinished import Leftover


class Engine:
    """One map, from its first chunk to its last outcome.

    Args:
        plan: what to do.
        source: where the chunks come from.
        backend: what runs them.
        look_every: seconds between two looks at which the finished part of a chunk is delivered
            before its end, as is needed for the order of completion; None if not at all.
        max_chunk: the most items that a chunk may have.
        is_stream: whether items are read, and results dropped, as the map goes on.
        clock: seconds, monotonic.
        total: how many items there are, if that is known.
        began: when the call began, from which its deadline counts; by default now.
    """

    def __init__(
        self,
        plan: Plan,
        source: Source,
        backend: Backend,
        *,
        poll_interval: float | None = None,
        max_chunk: int | None = None,
        is_stream: bool = False,
        total: int | None = None,
        clock: Callable[[], float] = monotonic,
        began: float | None = None,
    ) -> None:
        self._plan = plan
        self._source = source
        self._backend = backend
        self._early = poll_interval is not None
        self._clock = clock
        began = clock() if began is None else began
        self._rule = StopRule(plan, began)
        self._completion = Completion(plan, self._rule, clock)
        self._reporter = Reporter(plan, total, began) if plan.progress else None
        self._is_aborted = (
            False  # whether nobody wants more; set by any thread, read by the engine's
        )
        self._schedule = Schedule(
            workers=plan.max_workers,
            chunk_size=1 if plan.rate is not None else plan.chunk_size,
            timeout=plan.timeout,
            slow_after=plan.slow_after,
            poll_interval=math.inf if poll_interval is None else poll_interval,
            max_chunk=max_chunk,
            is_stream=is_stream,
        )
        self._dispatcher = Dispatcher(
            source,
            backend,
            self._schedule,
            plan.max_workers,
            plan.rate,
            retries=plan.retries > 0,
        )
        self._assignments = self._dispatcher.assignments
        self._abandoned: list[Job] = []  # overdue, and perhaps still to be ended
        self.is_complete = False  # whether every item has its outcome
        self.stop: Stop | None = None  # why the map was stopped before its end
        self.unfinished: Unfinished | None = None  # the first item that was not finished then
        self._raises_stop = False  # whether that is the failure to be raised

    def batches(self) -> Generator[OutcomeBatch, None, None]:
        """Run the map, yielding outcomes as they come. Closing the iterator stops the map."""
        graceful = False
        try:
            while True:
                now = self._clock()
                self._take_due(now)
                next_wakeup = self._hand_out(now)
                if next_wakeup > now:
                    self._interrupt_abandoned()  # after their places were filled
                if (
                    self._is_done() and not self._is_aborted
                ):  # an input that was closed seems to end
                    break
                ended = self._wait(self._seconds_to_wait(now, next_wakeup))
                now = self._clock()
                # Nothing may be yielded before all this is done: time passes while the consumer has
                # its turn, and what is seen in flight after it must not be taken for seen before.
                batches = [batch for job in ended for batch in self._settle(self._assignments[job])]
                if self._early or now >= self._dispatcher.next_wakeup:
                    batches.extend(self._look(now))
                self.stop = self._rule.stop(now)
                self._report(now)
                yield from batches
                if self._is_aborted:
                    return
                if self.stop is not None and self._completion.failure is None:
                    yield from self._cancel_all(self.stop)
                if self.stop is not None or self._completion.failure is not None:
                    self._report(math.inf)
                    return
            graceful = self.is_complete = True
            self._report(math.inf)
        finally:
            for assignment in self._assignments.values():
                assignment.job.truncate(0)
            self._interrupt_abandoned()
            self._close(self._is_over if graceful else None)
            if self._reporter is not None:
                self._reporter.close()

    def abort(self) -> None:
        """Let the map end soon, without more outcomes. Any thread may call this."""
        self._is_aborted = True
        self._backend.wake()

    def raise_failure(self, results: list[Any] | None = None) -> None:
        """Raise what ended the map early: the first failure, if so asked, or an exit.

        If the map was stopped as a whole, the error gets `results`, all that there is.
        """
        failure, self._completion.failure = self._completion.failure, None
        if failure is not None:
            if isinstance(failure, ParallelError) and self._raises_stop:
                failure.results = results
            # Its traceback is going to lead to this frame and to our caller's: leave no cycle.
            self.stop = self._rule.broken = None
            try:
                raise failure
            finally:
                del failure

    def _hand_out(self, now: float) -> float:
        try:
            return self._dispatcher.hand_out(now)
        except ParallelError as error:  # there is no worker, and none can be had
            self._rule.broken = error.with_traceback(None)  # that leads to here
            return now

    def _wait(self, timeout: float | None) -> Sequence[Job]:
        """The jobs that ended. What is wrong with the workers stops the map, but loses nothing."""
        try:
            return self._backend.wait(timeout)
        except ParallelError as error:
            self._rule.broken = error.with_traceback(None)
            return ()

    def _is_over(self) -> bool:
        return self._rule.is_over(self._clock())

    def _close(self, enough: Callable[[], bool] | None) -> None:
        """End the workers. If one can't clean up, that is raised when all outcomes are there."""
        try:
            self._backend.close(enough)
        except ParallelError as error:
            self._completion.failure = error.with_traceback(None)
            self._raises_stop = True

    def _is_done(self) -> bool:
        if self._assignments or self._rule.broken is not None or self._completion.retries:
            return False
        return not self._dispatcher.has_work

    def _take_due(self, now: float) -> None:
        """Let items be tried again whose time has come, before any other."""
        retries = self._completion.retries
        if retries is not None:
            self._dispatcher.due.extend(retries.take_due(now))
            self._source.waiting(len(retries))

    def _report(self, now: float) -> None:
        reporter = self._reporter
        if reporter is None or now < reporter.next_wakeup:
            return
        retried = 0 if self._completion.retries is None else self._completion.retries.count
        unseen = sum(
            assignment.seen - assignment.delivered for assignment in self._assignments.values()
        )
        running = sum(
            assignment.job.started is not None for assignment in self._assignments.values()
        )
        reporter.report(self._clock(), self._rule, unseen, retried, running)

    # Watching

    def _seconds_to_wait(self, now: float, next_wakeup: float) -> float | None:
        """For how long to wait if nobody wakes us; None: for ever."""
        at = min(self._dispatcher.next_wakeup, self._rule.next_wakeup(now), next_wakeup)
        if self._completion.retries:
            at = min(at, self._completion.retries.next_due)
        if self._reporter is not None:
            at = min(at, self._reporter.next_wakeup)
        return None if at == math.inf else max(0.0, at - now)

    def _look(self, now: float) -> Iterator[OutcomeBatch]:
        """See how far every run is; deliver early if asked to; give up on overdue items."""
        for assignment in list(self._assignments.values()):
            assignment.look(now)
            if self._early:
                yield from self._deliver(assignment, assignment.seen)
            overdue_at = self._schedule.overdue_at(assignment)
            if now >= overdue_at:
                yield from self._expire(assignment)
                continue
            if overdue_at < math.inf:
                assignment.job.will_expire(assignment.seen - assignment.chunk.start, overdue_at)
            if self._schedule.slow(assignment, now):
                log_slow(self._plan.caller, assignment, now)
        self._dispatcher.next_wakeup = self._schedule.next_wakeup(self._assignments.values(), now)

    def _settle(self, assignment: Assignment) -> Iterator[OutcomeBatch]:
        """Deliver what is left of a run that ended."""
        self._dispatcher.forget(assignment)
        job, first = assignment.job, assignment.chunk.start
        finished = job.finish()
        done = len(finished.values)
        self._schedule.measured(done, job.ended - (job.started or job.ended))
        if first + done < assignment.stop:  # cut so late that it was not clear what would be run
            self._dispatcher.again.append(
                assignment.chunk._replace(start=first + done, stop=assignment.stop)
            )
        yield from self._completion.batches(assignment, finished)

    def _deliver(self, assignment: Assignment, stop: int) -> Iterator[OutcomeBatch]:
        """Deliver the finished items before the index `stop`."""
        if assignment.delivered < stop:
            yield from self._completion.batches(
                assignment, assignment.job.peek(stop - assignment.chunk.start)
            )
            assignment.delivered = stop

    def _expire(self, assignment: Assignment) -> Iterator[OutcomeBatch]:
        """Give up on the item in flight, unless it has just finished after all."""
        index = assignment.seen
        rest = self._dispatcher.truncate(assignment, index + 1)
        if rest is not None:
            self._dispatcher.again.appendleft(rest)
        if (
            assignment.chunk.start + assignment.job.completed() == index
            and self._dispatcher.abandon(assignment)
        ):
            job, timeout = assignment.job, self._plan.timeout or 0.0
            stack = job.stack()
            self._abandoned.append(job)
            yield from self._deliver(assignment, index)
            item = describe(assignment.chunk.item(index))
            error = TaskTimeoutError(index, item, timeout, job.worker, stack, job.is_running)
            yield from self._completion.overdue(assignment, error)

    def _interrupt_abandoned(self) -> None:
        if self._abandoned:
            while self._abandoned:
                self._abandoned.pop().interrupt()
            self._rule.abandoned = self._backend.abandoned(self._plan.max_abandoned)

    # Stopping

    def _cancel_all(self, stop: Stop) -> Iterator[OutcomeBatch]:
        """Turn everything that is not finished into `TaskCancelledError`."""
        self._source.close()
        leftovers: list[Leftover] = []
        for assignment in list(self._assignments.values()):
            job = assignment.job
            job.truncate(0)
            running = self._dispatcher.abandon(assignment)
            if not running:
                self._dispatcher.forget(assignment)
            finished = job.peek(job.completed()) if running else job.finish()
            yield from self._completion.batches(assignment, finished)
            at = assignment.chunk.start + len(finished.values)
            if running and job.started is not None and at < assignment.stop:
                job.interrupt()
                began = finished.times[-1] if finished.times else assignment.since or job.started
                item = assignment.chunk._replace(start=at, stop=at + 1)
                leftovers.append(Leftover(item, job.worker, [began, self._clock()]))
                at += 1
            leftovers.append(Leftover(assignment.chunk._replace(start=at, stop=assignment.stop)))
        waiting = self._completion.retries.take_all() if self._completion.retries else []
        chunks = [*self._dispatcher.due, *self._dispatcher.again, *waiting]
        while (chunk := self._source.rest()) is not None:
            chunks.append(chunk)
        for leftover in (*leftovers, *map(Leftover, chunks)):
            for unfinished, batch in leftover.cancelled(stop.reason):
                if self.unfinished is None or unfinished.index < self.unfinished.index:
                    self.unfinished = unfinished
                yield batch
        # What is cancelled takes a slot only if failures do. Without one, it would be missed.
        must_raise = stop.always_raises or self._plan.on_error != "return"
        if must_raise and self._completion.failure is None:
            self._completion.failure = stop.error(self.unfinished)
            self._raises_stop = True
