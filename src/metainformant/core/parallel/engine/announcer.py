"""The engine's side of its observers: it makes the events, and none where nobody wants them.

Owned by the thread that runs the engine.
"""

from __future__ import annotations

import math

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from .assignment import Assignment
    from .backend import Finished
    from .completion import Completion
    from .dispatcher import Dispatcher
    from .ending import Ending
    from .events import Observer
    from .outcome_batch import OutcomeBatch
    from .policies.concurrency import WorkersChanged
    from .policies.retries import Retries
    from .policies.stopping import StopRule


class Announcer:
    """The sender of events to observers.

    Args:
        observers: who is told.
        began: when the call began.
        clock: seconds, monotonic.

    Attributes:
        is_watched: whether somebody wants to know of each chunk and each wait; if not, `waited`,
            `ran` and `outcomes` are not to be called.
        next_progress: when the progress is to be told again.
    """

    def __init__(
        self, observers: Sequence[Observer], began: float, clock: Callable[[], float]
    ) -> None:
        self._observers = observers
        self._watchers = [observer for observer in observers if observer.wants_chunks]
        self._began = began
        self._clock = clock
        self._told_changes = 0  # how many changes of the number of workers were told
        self.is_watched: bool = bool(self._watchers)
        self._interval = min((observer.interval for observer in observers), default=math.inf)
        self.next_progress: float = began if self._interval < math.inf else math.inf

    def progress(
        self,
        now: float,
        rule: StopRule,
        completion: Completion,
        assignments: Collection[Assignment],
    ) -> None:
        """Tell the progress, if it is time for that."""
        if now < self.next_progress or not self._observers:
            return
        from .events import Counts  # needed only where somebody watches

        retries = completion.retries
        unseen = sum(assignment.seen - assignment.delivered for assignment in assignments)
        jobs = [assignment.job for assignment in assignments]
        workers = [job.worker for job in jobs if job.started is not None]
        running = len(workers)
        counts = Counts(
            rule.finished + unseen,
            rule.failures,
            rule.timeouts,
            0 if retries is None else retries.count,
            running,
            completion.refused,
            queued=len(assignments) - running,
            waiting=0 if retries is None else len(retries),
            workers=workers,
        )
        for observer in self._observers:
            observer.on_progress(counts, self._clock() - self._began)
        self.next_progress = now + self._interval

    def slow(self, assignment: Assignment, now: float) -> None:
        """Tell that the item in flight is slow."""
        from .events import SlowItem

        assignment.reported_slow = index = assignment.seen
        seconds = 0.0 if assignment.since is None else now - assignment.since
        job = assignment.job
        slow = SlowItem(index, assignment.chunk.item(index), seconds, job.worker, job.stack())
        for observer in self._observers:
            observer.on_slow_item(slow)

    def waited(
        self, began: float, ended: float, dispatcher: Dispatcher, retries: Retries | None
    ) -> None:
        """Tell that the engine has waited, and why not every worker had something to do."""
        idle = dispatcher.idle
        reason = dispatcher.idle_reason(began) if idle else None
        if reason == "tail" and retries:
            reason = "retries"
        for observer in self._watchers:
            observer.on_wait(began, ended, len(dispatcher.assignments), idle, reason)

    def delivered(self, began: float, ended: float, dispatcher: Dispatcher) -> None:
        """Tell for how long the engine has delivered outcomes, and handed out nothing."""
        idle = dispatcher.idle_now
        for observer in self._watchers:
            observer.on_wait(began, ended, len(dispatcher.assignments), idle, "callbacks")

    def ran(
        self, assignment: Assignment, finished: Finished, ended: float, *, given_up: bool = False
    ) -> None:
        """Tell what a worker has run of a chunk; `given_up` says that it was abandoned then.

        That gives up the next item, unless none was left that could have been in flight.
        """
        job, count = assignment.job, len(finished.values)
        if job.started is None:
            return
        given_up = given_up and assignment.chunk.start + count < assignment.stop
        from .events import ChunkRun

        is_sampled = assignment.samples is not None
        since = assignment.since or job.started
        if len(finished.times) > count and not is_sampled:
            since = finished.times[count]
        run = ChunkRun(
            assignment.chunk,
            finished,
            job.worker,
            assignment.handed_out,
            job.started,
            ended,
            assignment.standing(ended),
            is_sampled=is_sampled,
            given_up=ended - since if given_up else None,
        )
        for observer in self._watchers:
            observer.on_chunk(run)

    def paused(self, seconds: float) -> None:
        """Tell for how long a service wants no calls."""
        for observer in self._observers:
            observer.on_pause(seconds)

    def changed(self, history: Sequence[WorkersChanged]) -> None:
        """Tell the changes of the number of workers that are new in their history."""
        for change in history[self._told_changes :]:
            for observer in self._observers:
                observer.on_workers_changed(change)
        self._told_changes = len(history)

    def outcomes(self, batch: OutcomeBatch) -> None:
        """Tell outcomes that are about to be delivered."""
        for observer in self._watchers:
            observer.on_outcomes(batch)

    def end(self, ending: Ending | None) -> None:
        """Tell that the run has ended; None if it was interrupted, or never started."""
        for observer in self._observers:
            observer.on_end(ending)
