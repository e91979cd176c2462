"""The backend for workers that share no objects with us: processes and interpreters.

Jobs are handed to workers one at a time, when they are free. That costs a round trip per job, some
tens of microseconds, for jobs that are meant to take much longer; and it is always known what a
worker had in hand when it died.
"""

from __future__ import annotations

import contextlib
import math
from collections import deque
from multiprocessing.connection import Pipe, wait
from time import monotonic
from typing import Any, Protocol

from ...describe import describe
from ...errors import ParallelError, WorkerDiedError
from ...plan import Plan
from ...prepare import Preparation
from .hand import Hand
from .job import RemoteJob
from .parcel import Packer, Parcel, dumps, is_enough, slices
from .slate import CAPACITY
from .travel import unpack, unpicklable
from .worker import Assignment, Pickled, Unsendable

# Ctrl-C may have to get through between two waits (on Windows), and the end of a worker whose
# children keep its pipes open is only seen by asking.
_LONGEST_WAIT = 0.1
# Seconds that a worker has to come back from a call that was given up, before it is killed.
_GRACE = 0.02
# Seconds that workers have to end by themselves when a map is left early.
_LAST_GRACE = 0.15


class Staff(Protocol):
    """Where workers come from, and where they go."""

    def hire(self, label: str, preparation: Preparation) -> Hand:
        """Start a worker; OSError if there is none to be had."""
        ...


class RemoteBackend:
    """Workers that are sent jobs, and whose slates are read.

    Args:
        plan: what to do.
        staff: what starts a worker.
        keep_times: whether it is noted when each item was started.
    """

    max_chunk: int | None = CAPACITY

    def __init__(self, plan: Plan, staff: Staff, *, keep_times: bool = False) -> None:
        self._plan = plan
        self._staff = staff
        self._keep_times = keep_times
        self._numbers = 0
        # All state is owned by the engine's thread, but for the pipe that wakes it.
        self._hands: list[Hand] = []
        self._wanted = 0  # how many workers the engine counts on; some may have to be started yet
        self._queue: deque[RemoteJob | None] = deque()  # None: a reminder
        self._ended: list[RemoteJob] = []
        self._news = False  # whether there is something to tell of besides
        self._wakes, self._waker = Pipe(duplex=False)

    def spawn(self) -> None:
        self._wanted += 1
        try:
            self._hire()
        except BaseException:
            self._wanted -= 1
            raise

    def submit(self, items: list[Any], first: int, attempt: int) -> RemoteJob:
        self._numbers += 1
        job = RemoteJob(items, first, attempt, self._numbers, self._parted, timed=self._keep_times)
        self._queue.append(job)
        return job

    def queued(self) -> int:
        return len(self._queue)

    def remind(self) -> None:
        self._queue.append(None)

    def wait(self, timeout: float | None) -> list[RemoteJob]:
        until = monotonic() + min(_LONGEST_WAIT, math.inf if timeout is None else timeout)
        self._assign()
        while not self._news:
            now = monotonic()
            overdue_at = min((hand.overdue_at for hand in self._hands), default=math.inf)
            self._receive(max(0.0, min(until, overdue_at) - now))
            self._kill_overdue()
            self._replace()
            self._assign()
            if now >= until:
                break
        self._news = False
        ended, self._ended = self._ended, []
        return ended

    def wake(self) -> None:
        try:
            self._waker.send_bytes(b"")
        except OSError:  # the map is over
            return

    def workers(self) -> int:
        return self._wanted

    def stuck(self) -> int:
        return 0  # they are killed

    def dismiss(self) -> None:
        pass  # a worker is too dear to be ended before the map is

    def close(self, graceful: bool) -> None:
        hands, self._hands = self._hands, []
        self._queue.clear()
        for hand in hands:
            if hand.job is not None:
                job = hand.job
                job.cut(0)
                hand.end_call(job.number, job.done())
                hand.overdue_at = monotonic() + _GRACE
            with contextlib.suppress(OSError):
                hand.channel.send("end")
        until = math.inf if graceful else monotonic() + _LAST_GRACE
        try:
            while left := [hand for hand in hands if hand.is_alive()]:
                now = monotonic()
                for hand in left:
                    if now >= min(until, hand.overdue_at):
                        hand.kill()
                    self._last_words(hand)
                watched = [sentinel for hand in left for sentinel in hand.sentinels()]
                wait(watched, min(_LONGEST_WAIT, max(0.001, until - now)))
        finally:
            for hand in hands:
                hand.kill()
                hand.channel.close()
            self._wakes.close()
            self._waker.close()

    def _last_words(self, hand: Hand) -> None:
        """Read what a worker that is ending still says, so that nothing can hold it up."""
        try:
            while hand.channel.poll():
                what, *message = hand.channel.receive()
                if what == "broken":
                    raise self._broken(hand, message[0])
        except (EOFError, OSError):
            return

    # Workers

    def _hire(self) -> None:
        while len(self._hands) < self._wanted:
            try:
                hand = self._staff.hire(self._plan.caller, self._plan.preparation)
            except OSError as error:
                raise ParallelError(
                    f"{self._plan.caller} can't start another worker: {error}"
                ) from error
            self._hands.append(hand)

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
        parcel, parts, job.sent = self._packed(job)
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
        except OSError:  # it has died, which will be seen at once
            return

    def _packed(self, job: RemoteJob) -> tuple[Parcel, list[Any], int]:
        """As many of the items as fit into one parcel."""
        packer, count = Packer(), 0
        if not job.one_by_one:
            try:
                for part in slices(job.items[:CAPACITY]):
                    packer.add(part)
                    count += len(part)
                    if is_enough(packer):
                        break
            except Exception:  # one of them can't be pickled
                job.one_by_one = True
                packer, count = Packer(), 0
        if job.one_by_one:
            for item in job.items[:CAPACITY]:
                packer.add([_wrapped(item)])
                count += 1
                if is_enough(packer):
                    break
        return *packer.pack(), count

    # What comes from them

    def _receive(self, timeout: float) -> None:
        watched: list[Any] = [self._wakes]
        owners: dict[Any, Hand] = {}
        for hand in self._hands:
            for sentinel in (hand.channel.connection, *hand.sentinels()):
                watched.append(sentinel)
                owners[sentinel] = hand
        ready = wait(watched, timeout)
        if not ready:
            for hand in [hand for hand in self._hands if not hand.is_alive()]:
                self._lost(hand)
            return
        for sentinel in ready:
            if sentinel is self._wakes:
                while self._wakes.poll():
                    self._wakes.recv_bytes()
                self._news = True
                continue
            hand = owners[sentinel]
            if hand not in self._hands:
                continue
            try:
                while hand.channel.poll():
                    self._heard(hand, *hand.channel.receive())
            except (EOFError, OSError):
                self._lost(hand)
                continue
            if sentinel is not hand.channel.connection:
                self._lost(hand)

    def _heard(self, hand: Hand, what: str, *message: Any) -> None:
        job: RemoteJob | None = hand.job
        if what == "ready":
            hand.is_ready = True
            self._news = True
        elif what == "broken":
            raise self._broken(hand, *message)
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
                return
            if what == "unread":
                job.one_by_one = True
                job.hand = None
                self._queue.appendleft(job)
            else:
                job.end()
                self._ended.append(job)

    def _broken(self, hand: Hand, record: bytes) -> BaseException:
        return unpack(record, hand.name)

    def _lost(self, hand: Hand) -> None:
        """A worker has ended that should not have, or was killed."""
        self._hands.remove(hand)
        hand.kill()  # what it has started, and what of it may be left
        fate = hand.fate()
        hand.channel.close()
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
        if job is None or job.is_given_up:
            return
        if not job.has_begun() and not job.one_by_one:
            # It died reading the items, or before. One by one it will be seen which it was.
            job.one_by_one = True
            job.hand = None
            self._queue.appendleft(job)
            return

        def loss(index: int, item: Any) -> BaseException:
            return WorkerDiedError(index, describe(item), hand.name, hand.pid, fate)

        job.end(loss)
        self._ended.append(job)

    def _kill_overdue(self) -> None:
        now = monotonic()
        for hand in self._hands:
            if now >= hand.overdue_at:
                hand.kill()


def _wrapped(item: Any) -> Unsendable | Pickled:
    try:
        return Pickled(dumps(item))
    except Exception as error:
        return Unsendable(str(unpicklable(f"the item {describe(item)}", error)))
