"""The backend for workers that share no objects with us: processes and interpreters.

Jobs are handed to workers one at a time, when they are free. That costs a round trip per job, some
tens of microseconds, for jobs that are meant to take much longer; and it is always known what a
worker had in hand when it died.
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
from ...options import Plan
from ..ipc.exceptions import unpack
from ..ipc.wakeup import Alarm
from .handle import Hand
from .job import RemoteJob
from .requests import pack_items
from .result_buffer import CAPACITY
from .worker import Assignment
from .worker_group import Crew
from .worker_pool import Staff

# Ctrl-C may have to get through between two waits (on Windows), and the end of a worker whose
# children keep its pipes open is only seen by asking.
_LONGEST_WAIT = 0.1
# With a `memory_limit`, seconds between two looks at how much memory workers use.
_MEMORY_TICK = 0.05

# Of all jobs of this process, so that a worker never takes one for another. next() is atomic.
_numbers = itertools.count(1)


class RemoteBackend:
    """Workers that are sent jobs, and whose slates are read.

    Args:
        plan: what to do.
        staff: where workers come from.
        owns_staff: whether that ends with this map.
        keep_times: whether it is noted when each item was started.
    """

    max_chunk: int | None = CAPACITY
    has_queue = False

    def __init__(
        self, plan: Plan, staff: Staff, *, owns_staff: bool = True, keep_times: bool = False
    ) -> None:
        self._plan = plan
        self._staff = staff
        self._owns_staff = owns_staff
        self._crew = Crew(plan, staff)
        self._keep_times = keep_times
        self._longest = _LONGEST_WAIT if plan.memory_limit is None else _MEMORY_TICK
        # All state is owned by the engine's thread, but for the pipe that wakes it.
        self._queue: deque[RemoteJob | None] = deque()  # None: a reminder
        self._ended: list[RemoteJob] = []
        self._news = False  # whether there is something to tell of besides
        self._alarm = Alarm()
        self._crew.watch.add(self._alarm.reader, None)

    def spawn(self) -> None:
        self._crew.wanted += 1
        try:
            self._crew.hire()
        except BaseException:
            self._crew.wanted -= 1
            raise

    def submit(self, items: list[Any], first: int, attempt: int) -> RemoteJob:
        number = next(_numbers)
        job = RemoteJob(
            items, first, attempt, number, self._crew.parted, self._hear_all, timed=self._keep_times
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
            self._receive(max(0.0, min(until, self._crew.next_overdue()) - now))
            self._crew.kill_overdue()
            self._crew.watch_memory()
            self._crew.replace()
            self._assign()
            if now >= until:
                break
        self._news = False
        ended, self._ended = self._ended, []
        return ended

    def wake(self) -> None:
        self._alarm.ring()

    def workers(self) -> int:
        return self._crew.wanted

    def stuck(self, most: int) -> int:
        return self._crew.stuck()

    def dismiss(self) -> None:
        pass  # a worker is too dear to be ended before the map is

    def close(self, enough: Callable[[], bool] | None) -> None:
        self._queue.clear()
        try:
            for hand in self._crew.hands:
                if hand.job is not None:
                    hand.job.cut(0)
                    hand.job.is_given_up = True
                    hand.end_call(hand.job.number, hand.job.done())
                    self._crew.hurry(hand)
            while any(hand.job is not None for hand in self._crew.hands):
                try:
                    self._receive(max(0.0, self._crew.next_overdue() - monotonic()))
                except Exception:
                    if enough is not None:
                        raise  # else something else is raised, which must not be hidden
                self._crew.kill_overdue()
        finally:
            hands, self._crew.hands = self._crew.hands, []
            for hand in hands:
                if hand.job is None:
                    self._staff.release(hand)
                else:
                    self._crew.bury(hand)
                    hand.job.part()
            self._alarm.close()
            if self._owns_staff:
                self._staff.close(enough)

    def _assign(self) -> None:
        """Give jobs to those who are free."""
        for hand in self._crew.hands:
            if not hand.is_ready or hand.job is not None:
                continue
            while self._queue:
                job = self._queue.popleft()
                if job is None:
                    self._news = True
                elif not job.is_given_up and job.items:
                    self._send(hand, job)
                    break
                elif not job.is_given_up:  # all of it was taken back
                    job.is_ended = self._news = True
                    self._ended.append(job)
            else:
                return

    def _send(self, hand: Hand, job: RemoteJob) -> None:
        most = CAPACITY
        if self._plan.max_tasks_per_worker is not None:
            most = min(most, self._plan.max_tasks_per_worker - hand.tasks)
        parcel, parts, job.sent = pack_items(job, most)
        job.hand, job.worker, hand.job = hand, hand.name, job
        hand.slate.prepare(job.sent)
        plan = self._plan
        assignment = Assignment(
            number=job.number,
            first=job.first,
            size=job.sent,
            attempt=job.attempt,
            timeout=plan.timeout,
            timed=job.timed,
            fail_fast=plan.fails_fast,
            wrapped=job.one_by_one,
        )
        try:
            self._crew.teach(hand)
            hand.channel.send_parcel(parcel, parts, "run", tuple(assignment))
        except ConnectionError:  # it has died, which will be seen at once
            return
        except OSError as error:
            raise ParallelError(
                f"{plan.caller} can't send its work to {hand.name!r}: {error}"
            ) from error

    # What comes from them

    def _receive(self, timeout: float) -> None:
        ready = self._crew.watch.wait(timeout)
        if not ready:
            for hand in [hand for hand in self._crew.hands if not hand.is_alive()]:
                self._last_words(hand)
        for handle, hand in ready:
            if hand is None:
                self._alarm.clear()
                self._news = True
            elif hand in self._crew.hands:
                if handle is not hand.channel.reader:  # its pipe may be kept open by others
                    self._last_words(hand)
                elif not self._hear(hand) and hand in self._crew.hands:
                    self._lost(hand)

    def _hear(self, hand: Hand) -> bool:
        """Take one message; return False if there will be no more."""
        try:
            message = hand.channel.receive()
        except (EOFError, OSError):
            return False
        self._heard(hand, *message)
        return True

    def _hear_all(self, hand: Hand) -> None:
        """Take all that a worker has said."""
        with contextlib.suppress(EOFError, OSError):
            while hand in self._crew.hands and hand.channel.poll():
                self._heard(hand, *hand.channel.receive())

    def _last_words(self, hand: Hand) -> None:
        """Take what a worker that has ended had said before, and let go of it."""
        self._hear_all(hand)
        if hand in self._crew.hands:
            self._lost(hand)

    def _heard(self, hand: Hand, what: str, *message: Any) -> None:
        job: RemoteJob | None = hand.job
        if what == "ready":
            hand.is_ready = True
            self._assign()
            self._news = self._news or hand.job is None
        elif what == "broken":
            self._crew.forget(hand)  # or another map would get it before it has ended
            self._crew.bury(hand)
            raise unpack(message[0], hand.name)
        elif what == "apart":
            read = hand.channel.later(*message[1:])
            if job is not None and not job.is_given_up:
                job.apart[message[0]] = read
        elif job is not None and job.number == message[0]:
            hand.job = None
            hand.overdue_at = math.inf
            hand.tasks += job.sent
            self._news = True
            if job.is_given_up:
                job.part()
            elif what == "no function":
                hand.function = None  # it may be readable the next time
                job.resend()
                self._queue.appendleft(job)
                raise unpack(message[1], hand.name)
            elif what == "unread" and job.one_by_one:
                job.end(_unreadable)
                self._ended.append(job)
            elif what == "unread":
                job.resend()
                self._queue.appendleft(job)
            else:
                job.end()
                self._ended.append(job)
            if hand.is_worn or hand.tasks >= (self._plan.max_tasks_per_worker or math.inf):
                self._crew.retire(hand)

    def _lost(self, hand: Hand) -> None:
        """A worker has ended that should not have, or was killed."""
        self._crew.forget(hand)
        fate = self._crew.bury(hand)
        if not hand.is_ready:
            raise ParallelError(
                f"{self._plan.caller}: the worker {hand.name!r} {fate} before it was ready to "
                "run anything. If this is a script, start its work below "
                "`if __name__ == '__main__':`, since each worker imports the script; see above "
                "for what it printed."
            )
        job: RemoteJob | None = hand.job
        if job is None or not job.is_given_up:
            self._crew.wanted -= 1
        self._news = True
        if job is None:
            return
        if job.is_given_up:
            job.part()
            return
        if not job.has_begun() and not job.one_by_one:
            # It died reading the items, or before. One by one it will be seen which it was.
            job.resend()
            self._queue.appendleft(job)
            return

        def loss(index: int, item: Any) -> BaseException:
            return WorkerDiedError(index, describe(item), hand.name, hand.pid, fate)

        job.end(loss)
        self._ended.append(job)


def _unreadable(index: int, item: Any) -> BaseException:
    return ParallelError(
        f"item {index} ({describe(item)}) can't be read in a worker, not even on its own; "
        "it may be out of memory"
    )
