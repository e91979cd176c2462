"""The port to observers, and the events that they get: the only way from the engine to them.

The engine emits events per chunk, never per item, in its own thread. If there is no observer, it
calls nothing and allocates nothing.
"""

from __future__ import annotations

import math

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..errors import Frame


class Counts:
    """The progress of a run, in items, except `running`."""

    __slots__ = ("failed", "finished", "retried", "running", "throttled", "timed_out")

    def __init__(
        self,
        finished: int,
        failed: int,
        timed_out: int,
        retried: int,
        running: int,
        throttled: int = 0,
    ) -> None:
        self.finished = finished
        self.failed = failed  # of these, for good
        self.timed_out = timed_out  # of those
        self.retried = retried  # how many retries there were
        self.running = running  # how many chunks workers are running now
        self.throttled = throttled  # how many attempts services have refused


class SlowItem:
    """An item that has been running for `slow_after` seconds or more."""

    __slots__ = ("index", "item", "seconds", "stack", "worker")

    def __init__(
        self, index: int, item: Any, seconds: float, worker: str, stack: tuple[Frame, ...]
    ) -> None:
        self.index = index
        self.item = item
        self.seconds = seconds
        self.worker = worker
        self.stack = stack


class Observer:
    """An observer of one run. The engine calls it in its thread; what it raises ends the run."""

    # Seconds between two calls of `on_progress`; the last one comes at the end in any case.
    interval = math.inf

    def on_progress(self, counts: Counts, elapsed: float) -> None:
        """Learn the progress of the run, `elapsed` seconds after the call began."""

    def on_slow_item(self, slow: SlowItem) -> None:
        """Learn that an item is slow; called once for each."""

    def on_end(self) -> None:
        """Release everything: the run has ended, in whatever way."""
