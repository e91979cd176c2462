"""A chunk that was handed out, as the engine last saw it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .backend import Job
    from .source import Chunk


class Assignment:
    """A chunk that was handed out, as the engine last saw it. Indices are those of the input."""

    __slots__ = ("chunk", "delivered", "job", "reported_slow", "seen", "since", "stop")

    def __init__(self, job: Job, chunk: Chunk) -> None:
        self.job = job
        self.chunk = chunk
        self.stop = chunk.stop  # items from here on were taken back
        self.delivered = chunk.start  # items before this one have been delivered
        self.seen = chunk.start  # the item in flight when last looked
        self.since: float | None = None  # when that item was first seen in flight
        self.reported_slow = -1  # the last item of which was told that it is slow

    def look(self, now: float) -> None:
        """Note which item is in flight, and since when: never too early, at most one look late."""
        seen = self.chunk.start + self.job.completed()
        if seen != self.seen:
            self.seen = seen
            self.since = now
        elif self.since is None:
            self.since = self.job.started

    @property
    def rest(self) -> int:
        """How many items were surely not started when last looked."""
        return self.stop - self.seen - 1
