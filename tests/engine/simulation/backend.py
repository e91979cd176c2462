"""A backend whose workers run in simulated time, for tests of every decision of the engine."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from metainformant.core.parallel.engine.backend import Finished
from metainformant.core.parallel.engine.source import Chunk
from metainformant.core.parallel.errors import Frame, ParallelError

NEVER = 10**9


class Behaviour(NamedTuple):
    """How the task of one item behaves."""

    seconds: float  # math.inf: hangs for ever
    fails: bool = False
    recovers: int = NEVER  # from this attempt on, it does not fail


class Simulation:
    """The clock, and a record of everything that the workers did."""

    def __init__(self, behaviours: list[Behaviour], step: float = 0.0, race: float = 0.0) -> None:
        self.behaviours = behaviours
        self.now = 0.0
        self.starts: dict[int, list[float]] = {}  # item -> when it was started
        self.ends: dict[int, float] = {}
        self.catch_up: Callable[[], None] = lambda: None  # lets workers do what they would have
        self._step = step  # seconds between two looks at the clock
        self._race = race  # seconds that pass within the engine's dealings with a job

    def clock(self) -> float:
        self._pass(self._step)
        return self.now

    def race(self) -> None:
        """Let the workers go on in the middle of something, as real ones do."""
        self._pass(self._race)

    def _pass(self, seconds: float) -> None:
        if seconds:
            self.now += seconds
            self.catch_up()


class SimJob:
    """A chunk whose items take the simulated time that their behaviour says."""

    def __init__(
        self, simulation: Simulation, items: list[int], attempt: int, backend: SimBackend
    ) -> None:
        self.worker = ""
        self._attempt = attempt
        self._backend = backend
        self.started: float | None = None
        self.ended = math.inf
        self.is_abandoned = False
        self._simulation = simulation
        self._items = items
        self._out: list[Any] = []
        self._failed: dict[int, BaseException] = {}
        self._item = -1  # in flight; it may be gone from the list
        self._busy_until = math.inf
        self.is_over = False

    def begin(self, worker: str, now: float) -> None:
        self.worker = worker
        self.started = now
        self._fetch(now)

    def _fetch(self, now: float) -> None:
        position = len(self._out)
        if position >= len(self._items):
            self.is_over = True
            self.ended = now
            return
        item = self._item = self._items[position]
        self._simulation.starts.setdefault(item, []).append(now)
        self._busy_until = now + self._simulation.behaviours[item].seconds

    def next_event(self) -> float:
        return math.inf if self.is_over else self._busy_until

    def advance(self) -> None:
        """End the item in flight and fetch the next one."""
        now, position = self._busy_until, len(self._out)
        item = self._item
        behaviour = self._simulation.behaviours[item]
        if behaviour.fails and self._attempt < behaviour.recovers:
            error = ValueError(item)
            self._failed[position] = error
            self._out.append(error)
        else:
            self._out.append(item)
        if not self.is_abandoned:
            self._simulation.ends[item] = now
        self._fetch(now)

    def will_expire(self, position: int, at: float) -> None:
        pass

    def completed(self) -> int:
        return len(self._out)

    def truncate(self, keep: int) -> int:
        self._simulation.race()
        if self._backend.stops_at_once and keep < len(self._items):
            # The item in flight has been fetched, if there is one.
            del self._items[len(self._out) + (self.started is not None and not self.is_over) :]
            self._simulation.race()
            return len(self._out) + 1
        del self._items[keep:]
        self._simulation.race()
        done = len(self._out)
        self._simulation.race()
        return keep if done < keep else done + 1

    def peek(self, stop: int) -> Finished:
        return Finished(self._out[:stop], dict(self._failed))

    def finish(self) -> Finished:
        assert self.is_over
        return Finished(self._out, self._failed)

    def abandon(self) -> bool:
        self._simulation.race()
        if self.is_over:
            return False
        self.is_abandoned = True
        if self.started is not None:
            self._backend.lost()
        return True

    def interrupt(self) -> None:
        assert self.is_abandoned

    def is_running(self) -> bool:
        return not self.is_over

    def remarks(self) -> tuple[str, str]:
        return "", ""

    def stack(self) -> tuple[Frame, ...]:
        return ()


class SimBackend:
    """Workers that take jobs from one queue, as the threads do."""

    max_chunk: int | None = None
    has_queue = True
    can_watch = True
    share_gil = True
    truncates_late = False
    share_thread = False
    capacity: int | None = None

    def __init__(
        self,
        simulation: Simulation,
        *,
        max_spawns: int = 10**9,
        preparation: Sequence[float] = (0.0,),
        stops_at_once: bool = False,
    ) -> None:
        self.stops_at_once = stops_at_once  # and can't let a job go on to a given item
        self.simulation = simulation
        simulation.catch_up = self._catch_up
        self.workers_jobs: dict[str, SimJob | None] = {}
        self._seen_workers = 0  # as of the last wait
        self.queue: list[SimJob | None] = []  # None: a reminder
        self.parting = False
        self.closed: bool | None = None
        self.most_working = 0
        self._max_spawns = max_spawns
        self._numbers = itertools.count(1)
        self._preparation = itertools.cycle(preparation)  # seconds that each worker needs at first
        self._ready_at: dict[str, float] = {}  # of workers that are not ready yet
        self._ended: list[tuple[float, int, SimJob]] = []
        self._events = False

    def spawn(self) -> None:
        if self._max_spawns == 0:
            raise ParallelError("the simulated system allows no more workers")
        self._max_spawns -= 1
        worker = f"sim-{next(self._numbers)}"
        self.workers_jobs[worker] = None
        self._ready_at[worker] = self.simulation.now + next(self._preparation)
        self._seen_workers += 1
        self._assign()

    def submit(self, chunk: Chunk, *, keep_times: bool = False) -> SimJob:
        items = chunk.items()
        assert not items or items[0] == chunk.start
        self.parting = False
        job = SimJob(self.simulation, items, chunk.attempt, self)
        self.queue.append(job)
        self._assign()
        return job

    def wake(self) -> None:
        self._events = True

    def abandoned(self) -> int:
        return sum(job.is_abandoned for job in self._running())

    def queued(self) -> int:
        return len(self.queue)

    def remind(self) -> None:
        self.queue.append(None)

    def workers(self) -> int:
        return self._seen_workers

    def dismiss(self) -> None:
        self.parting = True
        self._assign()

    def wait(self, timeout: float | None) -> list[SimJob]:
        """Let simulated time pass until something happens that the engine wants to know."""
        until = math.inf if timeout is None else self.simulation.now + timeout
        while not self._events:
            at = self._next_event()
            if at > until or at == math.inf:
                assert until < math.inf, "nothing will ever wake the engine"
                self.simulation.now = max(self.simulation.now, until)
                break
            self._advance(at)
        self._events = False
        self._seen_workers = self._counted()
        ended = [job for _, _, job in sorted(self._ended)]
        self._ended.clear()
        return ended

    def _catch_up(self) -> None:
        """Let the workers do all that they would have done by now."""
        while True:
            at = self._next_event()
            if at > self.simulation.now:
                return
            self._advance(at)

    def _next_event(self) -> float:
        jobs = (job.next_event() for job in self._running())
        return min(itertools.chain(jobs, self._ready_at.values()), default=math.inf)

    def _advance(self, at: float) -> None:
        self.simulation.now = max(self.simulation.now, at)
        for worker, job in list(self.workers_jobs.items()):
            if job is not None and job.next_event() <= at:
                job.advance()
                if job.is_over:
                    self.workers_jobs[worker] = None
                    if job.is_abandoned:
                        del self.workers_jobs[worker]
                    else:
                        heapq.heappush(self._ended, (job.ended, id(job), job))
        self._assign()

    def _assign(self) -> None:
        for worker in [name for name, at in self._ready_at.items() if at <= self.simulation.now]:
            del self._ready_at[worker]
        idle = [
            worker
            for worker, job in self.workers_jobs.items()
            if job is None and worker not in self._ready_at
        ]
        while idle and self.queue:
            worker, job = idle[0], self.queue.pop(0)
            if job is None:
                self._events = True
                continue
            job.begin(worker, self.simulation.now)
            if job.is_over:
                if not job.is_abandoned:
                    heapq.heappush(self._ended, (job.ended, id(job), job))
                continue
            self.workers_jobs[idle.pop(0)] = job
        if idle:
            self._events = True
            if self.parting:
                for worker in idle:
                    del self.workers_jobs[worker]
        working = [job for job in self.workers_jobs.values() if job and not job.is_abandoned]
        self.most_working = max(self.most_working, len(working))

    def lost(self) -> None:
        self._seen_workers -= 1

    def _counted(self) -> int:
        return sum(job is None or not job.is_abandoned for job in self.workers_jobs.values())

    def _running(self) -> list[SimJob]:
        return [job for job in self.workers_jobs.values() if job is not None]

    def close(self, is_over: Callable[[], bool]) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = False
