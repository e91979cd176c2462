"""The backend for workers that share no objects with us: processes and interpreters.

Jobs are handed to workers one at a time, when they are free. That costs a round trip per job, some
tens of microseconds, for jobs that are meant to take much longer; and it is always known what a
worker had in hand when it died.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import sys
import threading
from collections import deque
from multiprocessing.connection import Pipe
from time import monotonic
from typing import Any

from ...describe import describe
from ...errors import ParallelError, WorkerDiedError
from ...memory import used_memory
from ...plan import Plan
from .hand import Hand
from .job import RemoteJob
from .sending import pack_function, pack_items
from .slate import CAPACITY
from .staff import Staff
from .travel import unpack
from .watch import Watch
from .worker import Assignment

# Ctrl-C may have to get through between two waits (on Windows), and the end of a worker whose
# children keep its pipes open is only seen by asking.
_LONGEST_WAIT = 0.1
# Seconds between two looks at how much memory workers use, and the factor of `memory_limit` beyond
# which they are killed within an item.
_MEMORY_TICK = 0.05
_FAR_TOO_MUCH = 1.5
# Seconds that a worker has to come back from a call that was given up, before it is killed.
_GRACE = 0.02

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

    def __init__(
        self, plan: Plan, staff: Staff, *, owns_staff: bool = True, keep_times: bool = False
    ) -> None:
        self._plan = plan
        self._staff = staff
        self._owns_staff = owns_staff
        self._function = pack_function(plan.caller, plan.func) if staff.needs_function else None
        self._keep_times = keep_times
        self._longest = _LONGEST_WAIT if plan.memory_limit is None else _MEMORY_TICK
        # All state is owned by the engine's thread, but for the pipe that wakes it.
        self._hands: list[Hand] = []
        self._left_behind: list[Hand] = []  # those that can't be killed
        self._wanted = 0  # how many workers the engine counts on; some may have to be started yet
        self._queue: deque[RemoteJob | None] = deque()  # None: a reminder
        self._ended: list[RemoteJob] = []
        self._news = False  # whether there is something to tell of besides
        self._wakes, self._waker = Pipe(duplex=False)
        if sys.platform != "win32":
            os.set_blocking(self._waker.fileno(), False)
        # Held to wake and to close. The garbage collector may wake us in the middle of waking.
        self._wake_lock = threading.RLock()
        self._watch = Watch()
        self._watch.add(self._wakes, None)

    def spawn(self) -> None:
        self._wanted += 1
        try:
            self._hire()
        except BaseException:
            self._wanted -= 1
            raise

    def submit(self, items: list[Any], first: int, attempt: int) -> RemoteJob:
        number = next(_numbers)
        job = RemoteJob(
            items, first, attempt, number, self._parted, self._hear_all, timed=self._keep_times
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
            overdue_at = min((hand.overdue_at for hand in self._hands), default=math.inf)
            self._receive(max(0.0, min(until, overdue_at) - now))
            self._kill_overdue()
            self._watch_memory()
            self._replace()
            self._assign()
            if now >= until:
                break
        self._news = False
        ended, self._ended = self._ended, []
        return ended

    def wake(self) -> None:
        with self._wake_lock, contextlib.suppress(OSError):  # the map is over, or is woken already
            self._waker.send_bytes(b"")

    def workers(self) -> int:
        return self._wanted

    def stuck(self) -> int:
        self._left_behind = [hand for hand in self._left_behind if hand.is_alive()]
        return len(self._left_behind)

    def dismiss(self) -> None:
        pass  # a worker is too dear to be ended before the map is

    def close(self, graceful: bool) -> None:
        self._queue.clear()
        try:
            for hand in self._hands:
                if hand.job is not None:
                    hand.job.cut(0)
                    hand.job.is_given_up = True
                    hand.end_call(hand.job.number, hand.job.done())
                    hand.overdue_at = min(hand.overdue_at, monotonic() + _GRACE)
            while overdue := [hand.overdue_at for hand in self._hands if hand.job is not None]:
                try:
                    self._receive(max(0.0, min(overdue) - monotonic()))
                except Exception:
                    if graceful:
                        raise  # else something else is raised, which must not be hidden
                self._kill_overdue()
        finally:
            hands, self._hands = self._hands, []
            for hand in hands:
                if hand.job is None:
                    self._staff.release(hand)
                else:
                    self._bury(hand)
                    hand.job.part()
            with self._wake_lock:
                self._wakes.close()
                self._waker.close()
            if self._owns_staff:
                self._staff.close(graceful)

    # Workers

    def _hire(self) -> None:
        while len(self._hands) < self._wanted:
            hand = self._staff.hire(alone=not self._hands)
            if hand is None:
                return  # asked for again before long
            self._hands.append(hand)
            for handle in (hand.channel.reader, *hand.sentinels()):
                self._watch.add(handle, hand)
            if self._function is not None and hand.function != self._function[0]:
                hand.function = self._function[0] if self._function[0].body else None
                with contextlib.suppress(OSError):  # it has died, which will be seen
                    parcel, parts = self._function
                    hand.channel.send_parcel(parcel, parts, "function", self._plan.caller)

    def _replace(self) -> None:
        """Start workers in place of those that were killed after their jobs were given up."""
        try:
            self._hire()
        except ParallelError:
            if not self._hands:
                raise
            self._wanted = len(self._hands)

    def _parted(self, hand: Hand) -> None:
        """A job was given up while this worker had it. It may come back soon.

        The engine no longer counts on the worker. If it then asks for another, that is this one if
        it comes back, and else a new one as soon as this one was killed.
        """
        self._wanted -= 1
        hand.overdue_at = monotonic() + _GRACE

    def _assign(self) -> None:
        """Give jobs to those who are free."""
        for hand in self._hands:
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
            hand.channel.send_parcel(parcel, parts, "run", tuple(assignment))
        except ConnectionError:  # it has died, which will be seen at once
            return
        except OSError as error:
            raise ParallelError(
                f"{plan.caller} can't send items to {hand.name!r}: {error}"
            ) from error

    # What comes from them

    def _receive(self, timeout: float) -> None:
        ready = self._watch.wait(timeout)
        if not ready:
            for hand in [hand for hand in self._hands if not hand.is_alive()]:
                self._last_words(hand)
        for handle, hand in ready:
            if hand is None:
                while self._wakes.poll():
                    self._wakes.recv_bytes()
                self._news = True
            elif hand in self._hands:
                if handle is not hand.channel.reader:  # its pipe may be kept open by others
                    self._last_words(hand)
                elif not self._hear(hand) and hand in self._hands:
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
            while hand in self._hands and hand.channel.poll():
                self._heard(hand, *hand.channel.receive())

    def _last_words(self, hand: Hand) -> None:
        """Take what a worker that has ended had said before, and let go of it."""
        self._hear_all(hand)
        if hand in self._hands:
            self._lost(hand)

    def _heard(self, hand: Hand, what: str, *message: Any) -> None:
        job: RemoteJob | None = hand.job
        if what == "ready":
            hand.is_ready = True
            self._assign()
            self._news = self._news or hand.job is None
        elif what in ("broken", "no function"):
            hand.function = None
            raise unpack(message[0], hand.name)
        elif what == "apart":
            position, handle, fields = message
            parcel, memory = hand.channel.open(handle, fields)
            if job is not None and not job.is_given_up:
                job.apart[position] = lambda: next(parcel.unpack(memory))
        elif job is not None and job.number == message[0]:
            hand.job = None
            hand.overdue_at = math.inf
            hand.tasks += job.sent
            self._news = True
            if job.is_given_up:
                job.part()
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
                self._retire(hand)

    def _lost(self, hand: Hand) -> None:
        """A worker has ended that should not have, or was killed."""
        self._forget(hand)
        fate = self._bury(hand)
        if not hand.is_ready:
            raise ParallelError(
                f"{self._plan.caller}: the worker {hand.name!r} {fate} before it was ready to "
                "run anything. If this is a script, start its work below "
                "`if __name__ == '__main__':`, since each worker imports the script; see above "
                "for what it printed."
            )
        job: RemoteJob | None = hand.job
        if job is None or not job.is_given_up:
            self._wanted -= 1
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

    def _watch_memory(self) -> None:
        """Replace workers that use too much after their item, and kill those that use far more."""
        limit = self._plan.memory_limit
        if limit is None:
            return
        for hand in self._hands:
            used = used_memory(hand.pid)
            if used > limit * _FAR_TOO_MUCH:
                hand.kill(
                    f"was killed since it used {used / 2**20:,.0f} MiB, far more than "
                    f"memory_limit={limit / 2**20:,.0f} MiB"
                )
            elif used > limit and not hand.is_worn:
                hand.is_worn = True
                if hand.job is not None:
                    hand.job.cut(hand.job.done() + 1)
        for hand in [hand for hand in self._hands if hand.is_worn and hand.job is None]:
            self._retire(hand)

    def _retire(self, hand: Hand) -> None:
        """Part with a worker that has no job. The engine asks for another if there is work."""
        self._forget(hand)
        self._wanted -= 1
        self._staff.release(hand, worn=True)

    def _forget(self, hand: Hand) -> None:
        self._hands.remove(hand)
        for handle in (hand.channel.reader, *hand.sentinels()):
            self._watch.remove(handle)

    def _bury(self, hand: Hand) -> str:
        """End what is left of a worker, and what it has started; return how it ended."""
        hand.kill()
        if hand.is_alive():
            self._left_behind.append(hand)
        hand.channel.close()
        self._staff.lost()
        return hand.fate()

    def _kill_overdue(self) -> None:
        now = monotonic()
        for hand in self._hands:
            if now >= hand.overdue_at:
                hand.kill()


def _unreadable(index: int, item: Any) -> BaseException:
    return ParallelError(
        f"item {index} ({describe(item)}) can't be read in a worker, not even on its own; "
        "it may be out of memory"
    )
