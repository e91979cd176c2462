"""The supervision of what was handed out: how far it is, when it has ended, and what is overdue.

Owned by the thread that runs the engine.
"""

from __future__ import annotations

import math

from ..describe import describe
from ..errors import TaskTimeoutError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .announcer import Announcer
    from .assignment import Assignment
    from .backend import Job
    from .completion import Completion
    from .dispatcher import Dispatcher
    from .outcome_batch import OutcomeBatch
    from .policies.chunking import Chunking
    from .policies.concurrency import Concurrency
    from .policies.timeouts import Timeouts
    from .source import Chunk

    # Items that are not finished; and of one that is in flight its worker, its start and now.
    Rest = tuple[Chunk, str, tuple[float, ...]]


class Supervisor:
    """The place where assignments end: when their jobs have, or when they are abandoned.

    Outcome batches of what is finished are added to the lists that are called `ready`.

    Attributes:
        abandoned: jobs with an overdue item whose calls are still to be ended.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        completion: Completion,
        announcer: Announcer,
        chunking: Chunking,
        timeouts: Timeouts,
        concurrency: Concurrency | None,
        clock: Callable[[], float],
        *,
        delivers_early: bool,
    ) -> None:
        self.abandoned: list[Job] = []
        self._dispatcher = dispatcher
        self._completion = completion
        self._announcer = announcer
        self._chunking = chunking
        self._timeouts = timeouts
        self._concurrency = concurrency
        self._clock = clock
        self._delivers_early = delivers_early  # what is finished of a chunk, before its end

    def settle(
        self, assignment: Assignment, now: float, in_use: int, ready: list[OutcomeBatch]
    ) -> None:
        """Deliver what is left of an assignment that ended.

        `in_use` jobs were handed out while it was run.
        """
        self._dispatcher.forget(assignment)
        job, first = assignment.job, assignment.chunk.start
        finished = job.finish()
        done = len(finished.values)
        self._chunking.measured(done, job.ended - (job.started or job.ended))
        if first + done < assignment.stop:  # truncated so late that it was not clear what would run
            rest = assignment.chunk.part(first + done, assignment.stop)
            self._dispatcher.again.append(rest)
        if self._announcer.is_watched:
            self._announcer.ran(assignment, finished, job.ended)
        refused = self._completion.refused
        self._completion.finished(assignment, finished, ready)
        if self._concurrency is None or not done:
            return
        # Its time is that in which a worker was in use for it: it may have waited for the GIL.
        if self._completion.refused == refused:
            self._concurrency.ended(now, assignment.handed_out, done, in_use)

    def look(self, now: float, ready: list[OutcomeBatch]) -> None:
        """See how far every assignment is, if it is time; abandon overdue items."""
        if not self._delivers_early and now < self._dispatcher.next_wakeup:
            return
        for assignment in list(self._dispatcher.assignments.values()):
            assignment.look(now)
            if self._delivers_early:
                self._deliver(assignment, assignment.seen, ready)
            overdue_at = self._timeouts.overdue_at(assignment)
            if now >= overdue_at:
                self._expire(assignment, ready)
                continue
            if overdue_at < math.inf:
                assignment.job.will_expire(assignment.seen - assignment.chunk.start, overdue_at)
            if self._timeouts.is_slow(assignment, now):
                self._announcer.slow(assignment, now)
        self._dispatcher.next_wakeup = self._timeouts.next_wakeup(
            self._dispatcher.assignments.values(), now
        )

    def _expire(self, assignment: Assignment, ready: list[OutcomeBatch]) -> None:
        """Abandon the item in flight, unless it has just finished after all."""
        index, job = assignment.seen, assignment.job
        rest = self._dispatcher.truncate(assignment, index + 1)
        if rest is not None:
            self._dispatcher.again.appendleft(rest)
        is_stuck = assignment.chunk.start + job.completed() == index
        if is_stuck and self._dispatcher.abandon(assignment):
            stack = job.stack()
            self.abandoned.append(job)
            if self._announcer.is_watched:
                finished = job.peek(index - assignment.chunk.start)
                self._announcer.ran(assignment, finished, self._clock(), given_up=True)
            self._deliver(assignment, index, ready)
            item = describe(assignment.chunk.item(index))
            timeout, is_running = self._timeouts.timeout, job.is_running
            error = TaskTimeoutError(
                index, item, timeout, job.worker, stack, is_running, job.remarks()
            )
            self._completion.overdue(assignment, error, ready)

    def _deliver(self, assignment: Assignment, stop: int, ready: list[OutcomeBatch]) -> None:
        """Deliver the finished items before the index `stop`."""
        if assignment.delivered < stop:
            finished = assignment.job.peek(stop - assignment.chunk.start)
            self._completion.finished(assignment, finished, ready)
            assignment.delivered = stop

    def interrupt_abandoned(self) -> bool:
        """End the calls of abandoned jobs where that is possible; return whether there were any."""
        if not self.abandoned:
            return False
        while self.abandoned:
            self.abandoned.pop().interrupt()
        return True

    def give_up(self, ready: list[OutcomeBatch]) -> list[Rest]:
        """Abandon everything, and end all calls; return what is not finished."""
        unfinished: list[Rest] = []
        for assignment in list(self._dispatcher.assignments.values()):
            job = assignment.job
            job.truncate(0)
            running = self._dispatcher.abandon(assignment)
            if not running:
                self._dispatcher.forget(assignment)
            finished = job.peek(job.completed()) if running else job.finish()
            if self._announcer.is_watched:
                end = self._clock() if running else job.ended
                self._announcer.ran(assignment, finished, end, given_up=running)
            self._completion.finished(assignment, finished, ready)
            at = assignment.chunk.start + len(finished.values)
            if running and job.started is not None and at < assignment.stop:
                job.interrupt()
                began = finished.times[-1] if finished.times else assignment.since or job.started
                item = assignment.chunk.part(at, at + 1)
                unfinished.append((item, job.worker, (began, self._clock())))
                at += 1
            rest = assignment.chunk.part(at, assignment.stop)
            unfinished.append((rest, "", ()))
        return unfinished

    def leave(self) -> None:
        """Let nothing more be started, and tell what was run: nobody waits for the rest."""
        for assignment in self._dispatcher.assignments.values():
            assignment.job.truncate(0)
            if self._announcer.is_watched:  # parts of it may have been delivered
                finished = assignment.job.peek(assignment.job.completed())
                self._announcer.ran(assignment, finished, self._clock(), given_up=True)
