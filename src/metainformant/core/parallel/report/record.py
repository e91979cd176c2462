"""What is recorded of one run: counts and sums of bounded size, never an object per item.

Pure: times are seconds since the run began, given by whoever calls. Not thread-safe.
"""

from __future__ import annotations

import operator
from itertools import accumulate

from ..errors import TaskCancelledError, TaskTimeoutError
from .changes import WorkerChanges
from .failures import FailureGroups
from .histogram import Histogram
from .slowest import Slowest
from .time_parts import TimeParts
from .timeline import Timeline

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from ..host.usage import Usage

# More workers than this share one row: maps that replace workers can have any number of them.
_MAX_WORKERS = 512
OTHER_WORKERS = "(others)"
# How a run has ended that still goes on.
NOT_YET = "not yet"


class WorkerRecord:
    """The work of one worker. Times are in seconds."""

    __slots__ = ("busy", "chunks", "cpu", "items", "last_end", "main_cpu", "peak_memory")

    def __init__(self) -> None:
        self.busy: float = 0.0
        self.chunks: int = 0
        self.items: int = 0
        self.cpu: float = 0.0
        self.main_cpu: float = 0.0  # without other threads of its process
        self.peak_memory: int = 0
        self.last_end: float | None = None  # None before its first chunk


class Record:
    """The aggregates of one run.

    Attributes:
        finished, failed, timed_out, cancelled, recorded: items by how they ended; those that
            failed, timed out and were cancelled are among the finished, and those from a checkpoint
            too.
        attempts, failed_attempts: of items that workers ran; an item that is tried again is
            counted each time.
        throttled: attempts that a service refused, which are among the failed ones here, and not
            among those that are shown.
        abandoned: items that were given up while they ran.
        untimed: attempts whose times are known by the mean of their chunk only.
        time: where the time of the workers went.
        changes: of the number of workers, by a map that finds it out.
    """

    def __init__(self, max_workers: int, *, share_gil: bool = False, is_auto: bool = False) -> None:
        self.finished: int = 0
        self.failed: int = 0
        self.timed_out: int = 0
        self.cancelled: int = 0
        self.recorded: int = 0
        self.throttled: int = 0
        self.attempts: int = 0
        self.failed_attempts: int = 0
        self.abandoned: int = 0
        self.untimed: int = 0
        self.durations: Histogram = Histogram()
        self.timeline: Timeline = Timeline()
        self.failures: FailureGroups = FailureGroups()
        self.time: TimeParts = TimeParts(max_workers, share_gil=share_gil, is_auto=is_auto)
        self.workers: dict[str, WorkerRecord] = {}
        self.changes: WorkerChanges = WorkerChanges()
        self.slowest: Slowest = Slowest()

    # What the engine tells

    def chunk(
        self,
        worker: str,
        handed_out: float,
        started: float,
        ended: float,
        first: int,
        count: int,
        item: Callable[[int], object],
        *,
        attempt: int = 1,
        times: Sequence[float] = (),
        standing: Sequence[tuple[int, float]] = (),
        failed: int = 0,
        usage: Usage | None = None,
        given_up: float | None = None,
    ) -> None:
        """Add a chunk that a worker has run, or the part of it that it has.

        Args:
            worker: its name.
            handed_out: when the chunk was submitted.
            started, ended: when its first item was started, and its last one ended.
            first: index of its first item.
            count: how many of its items were finished.
            item: returns the item of an index.
            attempt: which attempt of its items this was.
            times: when each item was started, and when the last one ended, since any moment; empty
                if not known.
            standing: without times, items that were seen in flight for long, with their seconds.
            failed: how many of its items failed, in this attempt.
            usage: what all this used of the machine; None if not measured.
            given_up: if the item after the finished ones was given up at the end, for how many
                seconds it had run by then.
        """
        started = max(0.0, started)
        ended = max(started, ended)
        if worker not in self.workers and len(self.workers) >= _MAX_WORKERS:
            worker = OTHER_WORKERS
        row = self.workers.setdefault(worker, WorkerRecord())
        self.time.add_busy(handed_out, started, ended, row.last_end, usage)
        row.last_end = ended if row.last_end is None else max(row.last_end, ended)
        row.busy += ended - started
        row.chunks += 1
        row.items += count
        if usage is not None:
            row.cpu += usage.cpu_seconds
            row.peak_memory = max(row.peak_memory, usage.peak_memory)
            if row.peak_memory:
                self.timeline.peak(f"memory {worker}", ended, row.peak_memory)
            row.main_cpu += usage.cpu_seconds if usage.main_seconds is None else usage.main_seconds
        self.attempts += count
        self.failed_attempts += failed
        self.timeline.add(f"busy {worker}", started, ended, ended - started)
        self.timeline.add("running", started, ended, ended - started)
        self.timeline.add("attempts", started, ended, count)
        if failed:
            self.timeline.add("failed", started, ended, failed)
        if len(times) > count:
            self._add_timed(worker, first, count, item, attempt, times)
        else:
            self._add_untimed(worker, first, count, item, attempt, ended - started, standing)
        if given_up is not None:
            self.abandoned += 1
            self.slowest.add(given_up, first + count, item, worker, attempt)

    def _add_timed(
        self,
        worker: str,
        first: int,
        count: int,
        item: Callable[[int], object],
        attempt: int,
        times: Sequence[float],
    ) -> None:
        spent = list(map(operator.sub, times[1 : count + 1], times[:count]))
        self.durations.add_sorted(sorted(spent))
        if spent and max(spent) > self.slowest.least:  # few chunks have such an item
            for position, seconds in enumerate(spent):
                self.slowest.add(seconds, first + position, item, worker, attempt)

    def _add_untimed(
        self,
        worker: str,
        first: int,
        count: int,
        item: Callable[[int], object],
        attempt: int,
        seconds: float,
        standing: Sequence[tuple[int, float]],
    ) -> None:
        rest = seconds
        known = 0
        for index, stood in standing:
            if first <= index < first + count:
                known += 1
                rest -= stood
                self.durations.add(stood)
                self.slowest.add(stood, index, item, worker, attempt)
        if count > known:
            self.untimed += count - known
            self.durations.add(max(0.0, rest) / (count - known), count - known)

    def outcomes(
        self,
        count: int,
        failed: Mapping[int, BaseException],
        item: Callable[[int], object],
        *,
        names_items: bool = False,
        is_recorded: bool = False,
    ) -> None:
        """Add final outcomes of `count` items, with the failures among them by index."""
        self.finished += count
        if is_recorded:
            self.recorded += count
        for index, error in failed.items():
            if type(error) is TaskCancelledError and names_items:
                self.cancelled += 1
                continue
            self.failed += 1
            if isinstance(error, TaskTimeoutError) and error.index == index:
                self.timed_out += 1
            self.failures.add(error, index, item(index), names_items=names_items)

    # What is shown

    def counts(self, total: int | None) -> dict[str, int | None]:
        bad = self.failed + self.cancelled
        return {
            "total": total,
            "finished": self.finished,
            "ok": self.finished - bad,
            "failed": self.failed,
            "timed_out": self.timed_out,
            "cancelled": self.cancelled,
            "from_checkpoint": self.recorded,
            "attempts": self.attempts,
            "failed_attempts": max(0, self.failed_attempts - self.throttled),
            "throttled": self.throttled,
            "abandoned": self.abandoned,
        }

    def _worker_memory(self, elapsed: float) -> list[float]:
        """Return the sum of the most bytes that each worker has used until each bucket."""
        rows = [
            accumulate(self.timeline.peaks(f"memory {name}", elapsed), max)
            for name, row in self.workers.items()
            if row.peak_memory
        ]
        return [sum(column) for column in zip(*rows, strict=True)]

    def data(self, elapsed: float, total: int | None) -> dict[str, Any]:
        """Return everything as plain values, for a run that took `elapsed` seconds."""
        line, spent = self.timeline, self.durations
        busy = {name: line.sums(f"busy {name}", elapsed) for name in self.workers}
        ends = {f"p{percent:g}": spent.percentile(percent) for percent in (50, 90, 95, 99, 99.9)}
        return {
            "elapsed": elapsed,
            "counts": self.counts(total),
            "durations": {
                "count": spent.count,
                "untimed": self.untimed,
                "total": spent.total,
                "mean": spent.total / spent.count if spent.count else 0.0,
                "min": spent.shortest,
                "max": spent.longest,
                **ends,
                "bins": [list(part) for part in spent.bins()],
            },
            "slowest": self.slowest.data(),
            "failures": self.failures.data(),
            "timeline": {
                "width": line.width,
                "attempts": line.sums("attempts", elapsed),
                "failed": line.sums("failed", elapsed),
                "running": [seconds / line.width for seconds in line.sums("running", elapsed)],
                "memory": line.peaks("memory", elapsed),
                "worker_memory": self._worker_memory(elapsed),
            },
            "workers": [
                {
                    "name": name,
                    "busy": row.busy,
                    "chunks": row.chunks,
                    "items": row.items,
                    "cpu": row.cpu,
                    "peak_memory": row.peak_memory,
                    "main_cpu": row.main_cpu,
                    "occupancy": [seconds / line.width for seconds in busy[name]],
                }
                for name, row in self.workers.items()
            ],
            "time": self.time.data(elapsed),
            "worker_changes": self.changes.data(),
        }
