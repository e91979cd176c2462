"""The partition of the time of all workers into what they did and what they waited for. Pure."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..host.usage import Usage

# The parts, in the order in which they are shown, and what they mean.
PARTS = {
    "computing": "computing (processor time of the calls)",
    "calls": "waiting in calls (input and output, locks, sleep)",
    "gil": "waiting for the GIL",
    "waiting": "waiting in calls, or for the GIL",
    "not_scheduled": "ready, but not scheduled (other processes, a quota)",
    "unknown": "in calls; how is not known",
    "input": "idle for lack of input",
    "consumer": "idle since the consumer takes no results",
    "callbacks": "idle during callbacks (on_complete)",
    "rate": "held back by the rate limit, or by a service that asks for a pause",
    "retries": "idle until items are tried again",
    "startup": "starting",
    "transport": "handing over (pickling, copying, waiting for the engine)",
    "tail": "idle while the last items ended",
    "tiny": "not needed for such short items",
}
# So often threads must have been seen before it is told what they do.
_MIN_SEEN = 20
_REASONS = ("input", "consumer", "callbacks", "rate", "retries", "tail", "tiny")


class TimeParts:
    """The parts of the worker-seconds: workers that could be busy at once, times the elapsed time.

    What is busy is known from each chunk. What is idle is attributed by why the engine had handed
    out nothing, in proportion to the time for which it had not.

    Args:
        max_workers: how many workers there may be.
        share_gil: whether they take turns, so that time in calls may be waiting for the GIL. It is
            told from other waiting only if threads were seen, see `add_seen`.
        is_auto: whether the number of workers changes. Those that were not allowed yet did not
            wait, so that worker-seconds are those of the allowed number over time.
    """

    def __init__(self, max_workers: int, *, share_gil: bool = False, is_auto: bool = False) -> None:
        self._is_auto = is_auto
        self._looked = 0.0  # seconds for which the engine told how many workers there could be
        self._allowed = 0.0  # the worker-seconds in these
        self._share_gil = share_gil
        self._max_workers = max_workers
        self.most_busy: int = 0  # the most workers that had something to do at the same time
        self._busy = 0.0
        self._measured = 0.0  # the part of `_busy` in chunks whose processor time is known
        self._cpu = 0.0
        self._delayed = 0.0  # ready, and without a processor
        self._startup = 0.0
        self._handing_over = 0.0
        self._idle = dict.fromkeys(_REASONS, 0.0)
        # How often threads that were busy were seen to do that.
        self._seen_in_calls = self._seen_gil = self._seen_ready = 0
        self.throttled: float = 0.0  # seconds for which a control group stopped the process
        # Seconds in which something on this machine waited for a processor; None
        self.pressure: float | None = None  # ... where the system does not tell
        self.involuntary_switches: int | None = None  # of this process; the same

    def add_busy(
        self,
        handed_out: float,
        started: float,
        ended: float,
        last_end: float | None,
        usage: Usage | None,
    ) -> None:
        """Add a chunk; `last_end` is when the same worker ended its last one, if there was one."""
        self._busy += ended - started
        if usage is not None:
            self._measured += ended - started
            self._cpu += usage.cpu_seconds
            self._delayed += usage.delayed or 0.0
        if last_end is None:
            self._startup += max(0.0, started - max(0.0, handed_out))
        else:
            self._handing_over += max(0.0, started - max(handed_out, last_end))

    def add_wait(self, seconds: float, busy: int, idle: int, reason: str | None) -> None:
        """Learn that so many workers had something to do for some time, and others not."""
        self.most_busy = max(self.most_busy, min(busy, self._max_workers))
        self._looked += seconds
        self._allowed += seconds * min(busy + idle, self._max_workers)
        if reason in self._idle and seconds > 0:
            self._idle[reason] += seconds * idle

    def add_seen(self, in_calls: int, gil: int, ready: int) -> None:
        """Learn how many busy threads waited in calls or for the GIL, or were ready."""
        self._seen_in_calls += in_calls
        self._seen_gil += gil
        self._seen_ready += ready

    def data(self, elapsed: float) -> dict[str, Any]:
        """Return the parts as plain values, in seconds; they add up to the worker-seconds."""
        least = self._busy / elapsed if elapsed > 0 else 0.0
        workers = max(self.most_busy, 1, min(self._max_workers, _round_up(least)))
        mean: float = workers
        if self._is_auto and self._looked > 0:
            mean = min(workers, self._allowed / self._looked)
        whole = max(mean * elapsed, self._busy)
        parts = {**self._busy_parts(elapsed), **self._idle_parts(whole - self._busy)}
        return {
            "workers": workers,
            "worker_seconds": whole,
            "busy": self._busy,
            "cpu": self._cpu if self._measured else None,
            "throttled": self.throttled,
            "pressure": self.pressure,
            "involuntary_switches": self.involuntary_switches,
            "parts": {name: parts[name] for name in PARTS if parts.get(name, 0.0) > 0},
        }

    def _busy_parts(self, elapsed: float) -> dict[str, float]:
        computing = min(self._cpu, self._measured)
        waiting = self._measured - computing
        parts = {"computing": computing, "unknown": self._busy - self._measured}
        share = min(1.0, self.throttled / elapsed) if elapsed > 0 else 0.0
        stopped = min(waiting, max(self._delayed, share * self._measured))
        parts["not_scheduled"] = stopped
        rest = waiting - stopped
        seen = self._seen_in_calls + self._seen_gil + self._seen_ready
        if not self._share_gil or not self._measured:
            parts["calls"] = rest
        elif seen < _MIN_SEEN:
            parts["waiting"] = rest
        else:
            parts["calls"] = min(rest, self._measured * self._seen_in_calls / seen)
            rest -= parts["calls"]
            # Some of those that were ready did compute; the others waited for a processor.
            ready = max(0.0, self._seen_ready - seen * computing / self._measured)
            parts["gil"] = rest * self._seen_gil / ((self._seen_gil + ready) or 1.0)
            parts["not_scheduled"] += rest - parts["gil"]
        return parts

    def _idle_parts(self, idle: float) -> dict[str, float]:
        startup = min(idle, self._startup)
        parts = {"startup": startup, "transport": min(idle - startup, self._handing_over)}
        rest = idle - parts["startup"] - parts["transport"]
        weights = sum(self._idle.values())
        if not weights:
            parts["transport"] += rest
            return parts
        # What the engine had no reason for is a moment between two of its looks.
        known = min(rest, weights)
        for name, weight in self._idle.items():
            parts[name] = known * weight / weights
        parts["transport"] += rest - known
        return parts


def _round_up(number: float) -> int:
    return int(number) + (number > int(number) + 1e-6)
