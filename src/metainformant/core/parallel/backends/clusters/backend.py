"""The backend for workers of a cluster."""

from __future__ import annotations

import math
import pickle
import queue
from time import monotonic
from typing import TYPE_CHECKING

from ...engine.event_queue import taken
from ...errors import ParallelError
from .cluster import Broken, Event, Lost, Received, Workers
from .messages import EndProcess, Finish, Report, Stop, make_setup
from .permits import report_interval
from .seats import SeatGroup

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...calls import MapCall
    from ...engine.source import Chunk
    from ..ipc.out_of_band import BufferedPickle
    from .cluster import Cluster, Link
    from .job import ClusterJob

# Seconds for which a worker that was lost is not used, though the scheduler may list it.
_GONE_SECONDS = 2.0
# Seconds between two looks at whether the map has taken long enough, while seats end.
_LAST_TICK = 0.05


class ClusterBackend:
    """Seats in the workers of a cluster, each of which runs chunks.

    Args:
        call: what to do.
        cluster: whose workers are used.
        keep_times: whether it is noted when each item was started.
    """

    max_chunk: int | None = None
    has_queue = True
    can_watch = False  # the engine of the seat does
    share_gil = False
    truncates_late = True
    share_thread = False

    def __init__(self, call: MapCall, cluster: Cluster, *, keep_times: bool = False) -> None:
        self._call = call
        self._cluster = cluster
        self._keep_times = keep_times
        # All state is owned by the engine's thread, except the queue of what has happened, which
        # the cluster's threads add to. None: somebody wants to wake us.
        self._events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._group = SeatGroup(call.workers.count, cluster.message_bytes)
        self._links: dict[str, Link] = {}  # by worker
        self._offsets: dict[Link, float] = {}  # what turns the time of a worker into ours
        self._threads: dict[str, int] = {}  # of the workers that there are
        self._dying: set[Link] = set()  # whose processes were told to end, and may still be there
        self._gone: dict[str, float] = {}  # workers that were lost, and until when to avoid them
        self._setup: bytes | None = None
        self._wanted = 0  # how many seats the engine counts on
        self._seat_numbers = 0
        self._alone_since: float | None = None  # since when no worker has answered
        self._is_over = False

    @property
    def capacity(self) -> int | None:
        return sum(self._threads.values())

    def spawn(self) -> None:
        self._wanted += 1

    def submit(self, chunk: Chunk, *, keep_times: bool = False) -> ClusterJob:
        return self._group.submit(chunk)

    def queued(self) -> int:
        return len(self._group.queue) + sum(len(seat.jobs) > 1 for seat in self._group.seats)

    def remind(self) -> None:
        pass  # `wait` returns whenever something has happened

    def wait(self, timeout: float | None) -> list[ClusterJob]:
        if self._setup is None:
            self._start()
        group = self._group
        self._direct()
        self._take_events(0 if group.ended else timeout)
        self._check_workers()
        self._direct()
        if group.broken is not None:
            broken, group.broken = group.broken, None
            try:
                raise broken
            finally:
                del broken  # its traceback leads to this frame: leave no cycle
        ended, group.ended = group.ended, []
        return ended

    def wake(self) -> None:
        self._events.put(None)

    def abandoned(self) -> int:
        return 0  # each seat counts its own

    def workers(self) -> int:
        return self._wanted

    def dismiss(self) -> None:
        pass  # a seat may still get what another gives back

    def close(self, is_over: Callable[[], bool]) -> None:
        """Let the seats clean up and end, and let go of the cluster."""
        try:
            self._broadcast(Finish())
            while self._group.seats and self._group.broken is None and not is_over():
                self._take_events(_LAST_TICK)
                # Those that no thread was free for have nothing to clean up.
                self._group.seats = [seat for seat in self._group.seats if seat.is_open]
            until = monotonic() + _GONE_SECONDS  # or the next map would lose items with them
            while self._dying and monotonic() < until and not is_over():
                self._take_events(_LAST_TICK)
            if self._group.broken is not None:
                raise self._group.broken
        finally:
            self._group.broken = None
            self.abort()

    def abort(self) -> None:
        if not self._is_over:
            self._is_over = True
            self._broadcast(Stop())
            self._cluster.close()

    def _broadcast(self, command: Finish | Stop) -> None:
        for link in self._links.values():
            link.post([command])

    # In `wait`

    def _start(self) -> None:
        setup = make_setup(self._call, self._cluster.how_to_send, keep_times=self._keep_times)
        self._setup = pickle.dumps(setup)
        self._cluster.start(self._events.put, self._call.workers.count)

    def _take_events(self, timeout: float | None) -> None:
        self._cluster.check()
        for event in taken(self._events, timeout):
            if event is not None:
                self._take(event)

    def _take(self, event: Event) -> None:
        match event:
            case Workers():
                self._see(event.threads)
            case Received():
                self._receive(event.link, event.reports)
            case Lost():
                self._dying.discard(event.link)
                self._lose(event.link, event.why)
            case Broken():
                self._group.broken = event.error

    def _see(self, threads: dict[str, int]) -> None:
        """Learn which workers there are. The scheduler may not know yet that one is gone."""
        now = monotonic()
        self._gone = {worker: until for worker, until in self._gone.items() if until > now}
        self._threads = {
            worker: count for worker, count in threads.items() if worker not in self._gone
        }
        for link in list(self._links.values()):  # one that is direct tells by itself
            if link.worker not in threads and not link.is_direct:
                self._lose(link, "left the cluster")

    def _lose(self, link: Link, why: str) -> None:
        self._gone[link.worker] = monotonic() + _GONE_SECONDS
        self._threads.pop(link.worker, None)
        if self._links.get(link.worker) is link:
            del self._links[link.worker]
        self._offsets.pop(link, None)
        self._group.lose(link, why)

    def _receive(self, link: Link, pickled: list[BufferedPickle]) -> None:
        now = monotonic()
        reports: list[Report] = [report.load() for report in pickled]
        for report in reports:
            at = getattr(report, "at", -math.inf)
            offset = min(self._offsets.get(link, math.inf), now - at)
            if at > -math.inf:
                self._offsets[link] = offset
            self._group.receive(link, report, offset)

    def _check_workers(self) -> None:
        """Stop a map that has been waiting for workers for too long.

        One that has not answered is none yet: an actor of Ray may wait for a processor for ever.
        """
        is_asking = bool(self._wanted or not self._threads)
        if not is_asking or any(link.pid for link in self._links.values()):
            self._alone_since = None
            return
        now, patience = monotonic(), self._call.workers.patience
        if self._alone_since is None:
            self._alone_since = now
        elif patience is not None and now > self._alone_since + patience:
            self._group.broken = ParallelError(
                f"{self._call.caller}: the cluster has had no worker for {patience:g} s. "
                "Look whether its workers can start and reach the scheduler, and whether others "
                "hold all processors (Ray: `ray status`), and call again, with wait_for_workers= "
                "if that takes longer; with checkpoint= only what is missing is run"
            )

    def _direct(self) -> None:
        """Ask for the seats that are missing, and send what is to be sent."""
        if not self._is_over:
            self._open_seats()
            self._group.send_commands()
            commands, self._group.commands = self._group.commands, {}
            for link, some in commands.items():
                link.post(some)
                if any(isinstance(command, EndProcess) for command in some):
                    self._lose(link, "ended itself, to end a call")
                    self._dying.add(link)

    def _connect(self, worker: str) -> Link:
        assert self._setup is not None  # noqa: S101  # the map has started
        return self._cluster.connect(worker, self._setup, self._group.interval)

    def _open_seats(self) -> None:
        most = min(self._wanted, self._call.workers.count)
        asked = monotonic() - self._cluster.thread_seconds
        missing = most - sum(seat.is_open or seat.asked > asked for seat in self._group.seats)
        if missing <= 0:
            return
        seats = min(most, sum(self._threads.values()))
        self._group.interval = report_interval(min(seats, len(self._threads)), seats)
        used = dict.fromkeys(self._threads, 0)
        for seat in self._group.seats:
            if seat.link.worker in used:
                used[seat.link.worker] += 1
        for _ in range(missing):
            free = [worker for worker, count in used.items() if count < self._threads[worker]]
            if not free:
                return
            worker = min(free, key=used.__getitem__)
            used[worker] += 1
            link = self._links.get(worker)
            if link is None:
                link = self._links[worker] = self._connect(worker)
            self._seat_numbers += 1
            self._group.add(link, self._seat_numbers)
            link.open_seat(self._seat_numbers)
