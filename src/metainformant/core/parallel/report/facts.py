"""The numbers of a run from which its limit is found."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


class Facts:
    """The numbers of a run from which its limit is found. Times are in seconds."""

    def __init__(self, run: Mapping[str, Any]) -> None:
        time, counts = run["time"], run["counts"]
        self.run = run
        self.elapsed: float = run["elapsed"]
        self.attempts: int = counts["attempts"]
        self.finished: int = counts["finished"]
        self.failed: int = counts["failed"]
        self.failed_attempts: int = counts["failed_attempts"]
        self.refused: int = counts["throttled"]
        self.rate: float | None = run["rate"]
        self.is_auto: bool = run["auto"]
        changes = run["worker_changes"]["list"]
        # With how many workers a map that finds out their number has ended, if it changed that.
        self.ended_at: int | None = changes[-1]["to"] if changes else None
        parts = time["parts"]
        self.largest: str = max(parts, key=parts.get, default="unknown")
        self.workers: int = time["workers"]
        self.worker_seconds: float = time["worker_seconds"]
        self.busy: float = time["busy"]
        # Those that were given up are among the slowest, but have no duration.
        slowest = [item["seconds"] for item in run["slowest"][:1]]
        self.longest: float = max([run["durations"]["max"], *slowest])
        # The share of the elapsed time in which something waited for a processor, says Linux.
        pressure = time["pressure"]
        self.pressure: float | None = (
            None if pressure is None else min(1.0, pressure / (self.elapsed or 1.0))
        )
        self.cpu: float = time["cpu"] or 0.0
        self.throttled: float = time["throttled"]
        self.cpus: int = run["host"]["cpus"]
        self.backend: str = run["backend"]
        self.is_apart: bool = self.backend in ("process", "interpreter")
        self.share_gil = self.backend == "thread" and run["host"]["gil"]
        self.max_workers: int = run["max_workers"]
        self.mean: float = run["durations"]["mean"]
        self.median: float = run["durations"]["p50"]
        # Whether workers begin by something that the user wants, which may take long.
        self.is_prepared: bool = not {"initializer", "worker_state"}.isdisjoint(run["options"])
        self.calls_total: float = run["durations"]["total"]

    def share(self, *parts: str) -> float:
        there = self.run["time"]["parts"]
        seconds: float = sum(there.get(part, 0.0) for part in parts)
        return seconds / (self.worker_seconds or 1.0)
