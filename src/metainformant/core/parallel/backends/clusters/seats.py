"""The seats of one map and its jobs: who has what, and how far each may run.

Pure bookkeeping: reports go in, commands come out. Owned by the engine's thread.
"""

from __future__ import annotations

from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Any

from ...describe import describe
from ...errors import WorkerDiedError
from .job import ClusterJob
from .messages import (
    Began,
    EndProcess,
    EndSeat,
    Finished,
    Forget,
    Kept,
    Permit,
    Recall,
    RunChunk,
    SeatEnded,
    SeatOpened,
    pack_items,
)
from .permits import Permits

if TYPE_CHECKING:
    from ...engine.source import Chunk
    from .cluster import Link
    from .messages import Command, Report

# Chunks that a seat has: one that it runs, and one that is there when that ends.
_CHUNKS_PER_SEAT = 2


class SeatView:
    """A seat, as the map sees it."""

    def __init__(self, link: Link, number: int, permits: Permits) -> None:
        self.link = link
        self.number = number
        self.permits = permits
        self.jobs: list[ClusterJob] = []  # in the order in which it runs them
        self.is_open = False  # whether a thread is there
        self.asked: float = monotonic()  # when a thread was asked for
        self.is_recalling = False  # whether it was asked for what it has not started
        self.last_report: float = 0.0

    def is_stalled(self, now: float) -> bool:
        """Return whether its item in flight takes longer than a seat should be silent."""
        return bool(self.jobs) and self.permits.is_long(now - self.last_report)

    def is_quick(self, now: float) -> bool:
        """Return whether it should have a chunk ready: else that can come with the permission."""
        return self.permits.ahead() > 1 and not self.is_stalled(now)


class SeatGroup:
    """The seats of a map, the jobs that they have, and those that wait for one.

    Args:
        most: how many seats may be open.
        message_bytes: see `Cluster`.

    Attributes:
        seats: those that have not ended, in the order in which they were asked for.
        queue: the jobs that no seat has.
        ended: jobs that ended and that the engine has not been told of.
        commands: what is to be sent, by link.
        most: how many seats may be open.
        broken: the error that stops the map; None if there is none.
        interval: seconds between two reports of a worker, for seats that are added from now on.
    """

    def __init__(self, most: int, message_bytes: int) -> None:
        self.most: int = most
        self._message_bytes = message_bytes
        self.interval: float = 0.0
        self.seats: list[SeatView] = []
        self.queue: deque[ClusterJob] = deque()
        self.ended: list[ClusterJob] = []
        self.commands: dict[Link, list[Command]] = {}
        self.broken: BaseException | None = None
        self._jobs: dict[int, ClusterJob] = {}  # those that seats have, by number
        self._count = 0

    # Jobs

    def submit(self, chunk: Chunk) -> ClusterJob:
        self._count += 1
        job = ClusterJob(chunk, self._count, self)
        self.queue.append(job)
        return job

    def was_cut(self, job: ClusterJob) -> None:
        if job.seat is None:
            return  # it is looked at before it is given to a seat
        if job.is_done:
            self._end(job)
        elif job.outstanding > 1:
            self._recall(job.seat)

    def was_abandoned(self, job: ClusterJob) -> None:
        """Forget a job: the whole map is going to be stopped, and with it whoever runs this."""
        job.stop = job.permitted
        if job.seat is None and job in self.queue:
            self.queue.remove(job)

    # Seats

    def add(self, link: Link, number: int) -> None:
        self.seats.append(SeatView(link, number, Permits(self.interval)))

    def lose(self, link: Link, why: str) -> None:
        """Learn that a worker process is gone, with all its seats."""
        for seat in [seat for seat in self.seats if seat.link is link]:
            self._remove(seat, why)
        self.commands.pop(link, None)

    def _remove(self, seat: SeatView, why: str) -> None:
        self.seats.remove(seat)
        for job in reversed(seat.jobs):
            if job.permitted or job.completed() or job.is_abandoned:
                lost = self._losses(job, seat.link, why)
                job.add(lost, dict(enumerate(lost)), [])
                self._end(job)
            else:
                self._queue_again(job)
        seat.jobs.clear()

    def _losses(self, job: ClusterJob, link: Link, why: str) -> list[Any]:
        """Return the failures of the items that may have been started and were not reported."""
        done = job.completed()
        return [
            WorkerDiedError(
                job.first + at, describe(job.items[at]), link.name, link.pid, why, False
            )
            for at in range(done, job.permitted)
        ]

    # Reports

    def receive(self, link: Link, report: Report, offset: float) -> None:
        """Take a report; `offset` turns the time of that worker into ours."""
        now = monotonic()
        match report:
            case SeatOpened() | SeatEnded() | Kept():
                for seat in [seat for seat in self.seats if seat.link is link]:
                    if seat.number == report.seat:
                        self._receive_of_seat(seat, report)
            case Began():
                job = self._jobs.get(report.number)
                if job is not None:
                    job.started = report.at + offset
                    job.worker = link.name
            case Finished():
                job = self._jobs.get(report.number)
                if job is not None and job.seat is not None:
                    result = report.result.opened()
                    count = len(result.values)
                    job.add(result.values, result.failed, [time + offset for time in result.times])
                    job.seat.permits.reported(count, report.seconds)
                    job.seat.last_report = now
                    if job.is_done:
                        self._end(job, report.at + offset)

    def _receive_of_seat(self, seat: SeatView, report: SeatOpened | SeatEnded | Kept) -> None:
        match report:
            case SeatOpened():
                if sum(other.is_open for other in self.seats) < self.most:
                    seat.is_open = True
                else:  # others were asked for in its place, and had a thread sooner
                    self._send(seat.link, EndSeat(seat.number))
            case Kept():
                seat.is_recalling = False
                for job in list(seat.jobs):
                    job.permitted = min(job.permitted, report.stops.get(job.number, job.permitted))
                    if job.is_done:
                        self._end(job)
            case SeatEnded():
                if report.broken is not None:
                    self.broken = report.broken.opened().broken
                for job in seat.jobs if report.is_settled else ():
                    job.permitted = job.completed()  # what was permitted since came too late
                self._remove(seat, "ended")
                if report.is_stuck:
                    self._send(seat.link, EndProcess())

    # Commands

    def send_commands(self) -> None:
        """Give chunks to seats, and permission to run them."""
        now = monotonic()
        for job in [job for job in self.queue if job.is_done]:
            self.queue.remove(job)  # all of it was taken back
            self._end(job)
        seats = [seat for seat in self.seats if seat.is_open]
        self._pull_back(seats, now)
        for seat in seats:
            if self.queue and not seat.jobs:
                self._give(self.queue.popleft(), seat)
        for seat in seats:
            if self.queue and len(seat.jobs) < _CHUNKS_PER_SEAT and seat.is_quick(now):
                self._give(self.queue.popleft(), seat)
        for seat in seats:
            self._permit(seat, now)

    def _pull_back(self, seats: list[SeatView], now: float) -> None:
        """Put chunks back into the queue that wait behind another, if that is for too long.

        That is so if a seat has nothing better to do, or if the one that has them does not get on.
        """
        idle = sum(not seat.jobs for seat in seats)
        waiting = [seat for seat in seats if len(seat.jobs) > 1 and not seat.jobs[-1].permitted]
        waiting.sort(key=lambda seat: seat.jobs[-1].number)
        for seat in waiting:
            job = seat.jobs[-1]
            is_next = idle > 0 and (
                len(self.queue) < idle or job.number < self.queue[idle - 1].number
            )
            if is_next or seat.is_stalled(now):
                seat.jobs.pop()
                self._send(seat.link, Forget(seat.number, job.number))
                self._queue_again(job)

    def _queue_again(self, job: ClusterJob) -> None:
        """Let another seat have a job of which nothing was started, in its turn."""
        del self._jobs[job.number]
        job.seat, job.worker = None, ""
        at = next((at for at, one in enumerate(self.queue) if one.number > job.number), None)
        if at is None:
            self.queue.append(job)
        else:
            self.queue.insert(at, job)

    def _give(self, job: ClusterJob, seat: SeatView) -> None:
        packed, count = pack_items(job.items[: job.stop], self._message_bytes)
        job.stop = count  # what does not fit is the engine's when the job ends
        if not seat.jobs:
            seat.last_report = monotonic()
        job.seat = seat
        self._jobs[job.number] = job
        seat.jobs.append(job)
        command = RunChunk(seat.number, job.number, job.first, job.attempt, packed)
        self._send(seat.link, command)

    def _permit(self, seat: SeatView, now: float) -> None:
        if seat.is_recalling:
            return
        outstanding = sum(job.outstanding for job in seat.jobs)
        if outstanding > 1 and seat.is_stalled(now):
            self._recall(seat)
            return
        left = seat.permits.ahead() - outstanding
        for job in seat.jobs:
            more = min(left, job.stop - job.permitted)
            if more > 0:
                if not outstanding:
                    seat.last_report = now
                job.permitted += more
                left -= more
                self._send(seat.link, Permit(seat.number, job.number, job.permitted))

    def _recall(self, seat: SeatView) -> None:
        if not seat.is_recalling and seat in self.seats:
            seat.is_recalling = True
            self._send(seat.link, Recall(seat.number))

    def _send(self, link: Link, command: Command) -> None:
        self.commands.setdefault(link, []).append(command)

    def _end(self, job: ClusterJob, at: float | None = None) -> None:
        seat = job.seat
        if seat is not None:
            self._jobs.pop(job.number, None)
            if job in seat.jobs:
                seat.jobs.remove(job)
            if job.completed() < len(job.items) and seat in self.seats:
                self._send(seat.link, Forget(seat.number, job.number))
        job.end(at)
        if not job.is_abandoned:
            self.ended.append(job)
