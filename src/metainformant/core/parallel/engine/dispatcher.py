"""The distribution of work: submitting, stealing, starting and dismissing workers.

Owned by the thread that runs the engine.
"""

from __future__ import annotations

import math
from collections import deque
from itertools import islice

from ..errors import ParallelError
from .assignment import Assignment
from .policies.stealing import MIN_STEAL_SECONDS, choose_steal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .backend import Backend, Job
    from .events import IdleReason
    from .policies.chunking import Chunking
    from .policies.concurrency import Concurrency
    from .policies.start_rate import Pace
    from .policies.timeouts import Timeouts
    from .source import Chunk, Source

# Seconds between two looks at a single worker that runs tiny items, and seconds for which an item
# may be in flight before others are given a part of that worker's items.
_ONE_LOOK_SECONDS = 0.01
_STANDING_SECONDS = 0.005
# The largest rest is looked for among so many assignments at a time: with a thousand workers,
# looking at all of them for each item that is stolen would take longer than the items.
_MAX_VICTIMS = 64


class Dispatcher:
    """The work of one map and the workers that it is given to."""

    def __init__(
        self,
        source: Source,
        backend: Backend,
        chunking: Chunking,
        timeouts: Timeouts,
        max_workers: int,
        pace: Pace | None = None,
        concurrency: Concurrency | None = None,
        *,
        retries: bool = False,
        wants_times: bool = False,
    ) -> None:
        # Every chunk that was submitted and has not ended.
        self.assignments: dict[Job, Assignment] = {}
        # What goes before anything new, in this order: items whose time has come to be tried
        # again, and items that were stolen.
        self.due: deque[Chunk] = deque()
        self.again: deque[Chunk] = deque()
        self.next_wakeup: float = math.inf  # when all assignments are to be looked at (again)
        self._source = source
        self._backend = backend
        self._chunking = chunking
        self._timeouts = timeouts
        self._max_workers = max_workers
        self._pace = pace
        self._concurrency = concurrency
        self._allowed = max_workers  # how many may be in use just now
        self._retries = retries  # whether items may come back that were handed out
        self._paused_until = -math.inf  # nothing is handed out before
        self._truncated: set[Job] = set()  # jobs that may end without having run their last item
        self._wants_times = wants_times  # whether it matters when items are finished
        self._stealable: dict[Job, Assignment] = {}  # those that have items to steal

    @property
    def idle(self) -> int:
        """The number of workers that there could be and that have been handed nothing."""
        return max(0, self._limit - len(self.assignments))

    @property
    def idle_now(self) -> int:
        """The same, with the workers that are done and have not been settled yet."""
        done = sum(
            assignment.chunk.start + job.completed() >= assignment.stop
            for job, assignment in self.assignments.items()
        )
        return self.idle + done

    def idle_reason(self, now: float) -> IdleReason:
        """Return why not every worker has something to do, except for retries that wait."""
        if self.due or self.again or self._source.left:
            if self._pace is not None or now < self._paused_until:
                return "rate"
            return "tiny" if self._chunking.one_is_enough else "start"
        if self._source.left is None:
            return "consumer" if self._source.is_held else "input"
        return "tail"

    @property
    def has_work(self) -> bool:
        """Whether there is something to submit, as far as is known."""
        return bool(self.due or self.again) or self._source.left != 0

    @property
    def exhausted(self) -> str | None:
        """The reason why nothing more may be started, if nothing runs that might change that."""
        return None if self._pace is None or self.assignments else self._pace.exhausted

    def hand_out(self, now: float) -> float:
        """Give every worker something to do; return when to try again if nobody wakes us."""
        if self._pace is not None:
            self._pace.exhausted = None  # a task may have cost less than it was guessed to
        if now < self._paused_until:
            return self._paused_until
        if self._concurrency is not None:
            self._allowed = self._concurrency.allowed(now)
            if not self._allowed:
                return self._concurrency.next_wakeup
        while True:
            owed = self._pace is not None and self._pace.is_owed(self.assignments)
            wanted = self._wanted_workers(now, owed)
            while self._backend.workers() < wanted:
                self._start_worker()
                if self._backend.share_thread:
                    wanted = min(wanted, self._limit)  # there may be no more than we have
                    continue
                # That took as long as thousands of tiny tasks: see first who is free by now.
                is_more = self._backend.workers() < wanted or not self._is_last_wave()
                return now if is_more else math.inf
            if owed and self._pace is not None:
                return self._pace.next_wakeup(now)
            if len(self.assignments) >= self._limit:
                return self._fill_queue(now)
            if self._one_is_enough(now):
                return now + _ONE_LOOK_SECONDS
            chunk = self._next_chunk() or self._steal(now)
            if chunk is not None:
                early = self._pace.try_acquire(chunk, now) if self._pace is not None else 0
                if early > 0:
                    (self.due if chunk.attempt > 1 else self.again).appendleft(chunk)
                    return now + early
                self._submit(chunk, now)
            elif self._stealable:
                return now + MIN_STEAL_SECONDS
            else:
                if self._is_last_wave():
                    self._backend.dismiss()
                return self._source.next_wakeup(now)

    def truncate(self, assignment: Assignment, index: int) -> Chunk | None:
        """Take the items from `index` on, or more, away from a worker; None if it was faster."""
        first = assignment.chunk.start
        stop = min(first + assignment.job.truncate(index - first), assignment.stop)
        rest = assignment.chunk.part(stop, assignment.stop)
        assignment.stop = stop
        self._truncated.add(assignment.job)
        return rest if rest.start < rest.stop else None

    def recall(self, now: float) -> list[Chunk]:
        """Take back and return all items that no worker has started."""
        chunks = [*self.due, *self.again]
        self.due.clear()
        self.again.clear()
        for assignment in self.assignments.values():
            assignment.look(now)
            rest = self.truncate(assignment, assignment.seen + 1)
            if rest is not None:
                chunks.append(rest)
        return chunks

    def pause(self, now: float, seconds: float) -> None:
        """Let nothing be started for so long. What waits for a worker is taken back."""
        self._paused_until = max(self._paused_until, now + seconds)
        if self._pace is not None:
            self._pace.pause(seconds)
        for assignment in self.assignments.values():
            assignment.look(now)
            # With a rate at most one waits, and its start has been taken from the limits.
            waits = assignment.job.started is None and self._pace is None
            waits = waits and self._backend.has_queue
            rest = self.truncate(assignment, assignment.seen + (not waits))
            if rest is not None:
                self.again.append(rest)

    def abandon(self, assignment: Assignment) -> bool:
        """Part with a run and its worker; False if it has ended in the meantime."""
        if not assignment.job.abandon():
            return False
        self.forget(assignment)
        return True

    def forget(self, assignment: Assignment) -> None:
        del self.assignments[assignment.job]
        self._stealable.pop(assignment.job, None)
        self._truncated.discard(assignment.job)

    def forget_all(self) -> None:
        """Let go of all jobs, once the map has ended: their failures have frames that lead here."""
        self.assignments.clear()
        self._stealable.clear()
        self._truncated.clear()

    # Workers

    def _one_is_enough(self, now: float) -> bool:
        """Return whether the workers that are busy need no help: tiny items, and all get on."""
        if not self.assignments or not self._chunking.one_is_enough:
            return False
        for assignment in self.assignments.values():
            assignment.look(now)
            if assignment.since is not None and now >= assignment.since + _STANDING_SECONDS:
                return False
        return True

    def _wanted_workers(self, now: float, owed: bool) -> int:
        """Return how many workers there should be.

        One for each assignment; and while one of them is starting, as many as would be at work.
        """
        wanted = len(self.assignments)
        if owed and self._pace is not None:
            missed = min(self._pace.missed(now), self._limit - wanted)
            while len(self.due) + len(self.again) < missed:
                chunk = self._source.take(1)
                if chunk is None:
                    break
                self.again.append(chunk)
            wanted += min(missed, len(self.due) + len(self.again))
        return min(self._limit, wanted)

    @property
    def _limit(self) -> int:
        """The number of workers that can be in use just now; others have nothing to do."""
        capacity = self._backend.capacity
        most = min(self._max_workers, self._allowed)
        return most if capacity is None else min(most, capacity)

    def _start_worker(self) -> None:
        if self._is_last_wave():
            self._backend.dismiss()  # so that it need not wait for us when it is done
        try:
            self._backend.spawn()
        except ParallelError:
            if not self._backend.workers():
                raise
            self._max_workers = self._backend.workers()  # go on with what we have

    def _is_last_wave(self) -> bool:
        """Return whether everything is submitted, and hardly anything can come back.

        Where items are tried again anything can, and workers may be dear to make.
        """
        return not (self._retries or self.has_work or self._stealable or self._truncated)

    # Work

    def _fill_queue(self, now: float) -> float:
        """Keep jobs ready, so that workers go on without waiting for us; return when to try again.

        That matters where all threads share one lock: each time we wake up, we are in their way.
        """
        if self._pace is not None or not self._backend.has_queue:
            return math.inf
        if self._concurrency is not None:  # workers that should have nothing to do would take them
            return math.inf
        if self._backend.share_thread and not self._chunking.has_measured:
            return math.inf  # chunks of one item cost them more than to wait for larger ones
        limit = self._limit
        if self._backend.queued() >= limit:
            return math.inf
        self._backend.remind()
        for _ in range(limit):
            chunk = self._next_chunk()
            if chunk is None:
                return math.inf
            self._submit(chunk, now)
        return math.inf

    def _next_chunk(self) -> Chunk | None:
        if self.due:
            return self.due.popleft()
        if self.again:
            return self.again.popleft()
        return self._source.take(self._chunking.next_size(self._source.left))

    def _steal(self, now: float) -> Chunk | None:
        """Take half of the largest rest away from its worker; None if it is not worth it now."""
        speed = self._chunking.seconds_per_item
        victim, unseen = None, len(self._stealable)
        while victim is None and unseen > 0:
            some = dict(islice(self._stealable.items(), _MAX_VICTIMS))
            unseen -= len(some)
            victim = choose_steal(some.values(), now, speed)
            # What is left of these is looked at last when this is called again.
            for job, assignment in some.items():
                del self._stealable[job]
                if assignment.rest > 0:
                    self._stealable[job] = assignment
        if victim is None:
            return None
        assignment, index = victim
        rest = self.truncate(assignment, index)
        if rest is None:  # nothing is left of it, or nothing can be taken from it
            if not self._backend.truncates_late:
                self._stealable.pop(assignment.job, None)
        elif rest.start < index:  # the victim was stopped at once, and gets its half again
            self.again.appendleft(rest.part(rest.start, index))
            rest = rest.part(index, rest.stop)
        return rest

    def _submit(self, chunk: Chunk, now: float) -> None:
        # The items' own times are exact; many quick ones are looked at from time to time instead.
        keep_times = self._wants_times and self._chunking.notes_times(chunk.start)
        job = self._backend.submit(chunk, keep_times=keep_times)
        keep_samples = self._wants_times and not keep_times
        assignment = Assignment(job, chunk, keep_samples=keep_samples, now=now)
        self.assignments[job] = assignment
        if assignment.rest:
            self._stealable[job] = assignment
        self.next_wakeup = min(self.next_wakeup, self._timeouts.first_wakeup(assignment, now))
        if self._pace is not None:
            self._pace.handed_out(assignment, now)
            self._backend.remind()  # once another is free, and so this one started
