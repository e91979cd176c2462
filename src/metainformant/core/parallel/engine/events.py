"""What the engine tells to whoever watches a run: the only way from it to observers.

Events come at the granularity of chunks, never of items, in the engine's thread. Where nobody
watches, nothing is called and nothing is allocated.
"""

from __future__ import annotations

import math

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..errors import Frame


class Counts:
    """How far a run is, in items, except `running`."""

    __slots__ = ("failed", "finished", "retried", "running", "timed_out")

    def __init__(
        self, finished: int, failed: int, timed_out: int, retried: int, running: int
    ) -> None:
        self.finished = finished
        self.failed = failed  # of these, for good
        self.timed_out = timed_out  # of those
        self.retried = retried  # how many retries there were
        self.running = running  # how many chunks workers have now


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
    """Watches one run. The engine calls it in its own thread; what it raises ends the run."""

    # Seconds between two calls of `on_progress`; the last one comes at the end in any case.
    interval = math.inf

    def on_progress(self, counts: Counts, elapsed: float) -> None:
        """Learn how far the run is, `elapsed` seconds after the call began."""

    def on_slow_item(self, slow: SlowItem) -> None:
        """Learn of an item that is slow, once."""

    def on_end(self) -> None:
        """Let go of everything: the run has ended, however it did."""
