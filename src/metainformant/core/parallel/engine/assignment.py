"""A chunk that was handed out, as the engine last saw it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .backend import Job
    from .source import Chunk


class Assignment:
    """A chunk that was handed out, as the engine last saw it. Indices are those of the input."""

    __slots__ = (
        "_still",
        "chunk",
        "delivered",
        "handed_out",
        "job",
        "reported_slow",
        "samples",
        "seen",
        "since",
        "stood",
        "stop",
    )

    def __init__(
        self, job: Job, chunk: Chunk, *, keep_samples: bool = False, now: float = 0.0
    ) -> None:
        self.job: Job = job
        self.handed_out: float = now
        self.chunk: Chunk = chunk
        self.stop: int = chunk.stop  # items from here on were taken back
        self.delivered: int = chunk.start  # items before this one have been delivered
        self.seen: int = chunk.start  # the item in flight when last looked
        self.since: float | None = None  # when that item was first seen in flight
        self.reported_slow: int = -1  # the last item that was reported as slow

        # Items before this index were finished by that time; None if nobody wants to know.
        self.samples: list[tuple[int, float]] | None = [] if keep_samples else None
        # Items that were seen in flight more than once, with the seconds until they were finished.
        self.stood: list[tuple[int, float]] = []
        self._still: float | None = None  # when the item in flight was last seen not to move

    def look(self, now: float) -> None:
        """Note which item is in flight, and since when: never too early, at most one look late."""
        seen = self.chunk.start + self.job.completed()
        if seen != self.seen:
            if self.samples is not None:
                self._note_standing(now)
                self.samples.append((seen, now))
            self.seen = seen
            self.since = now
        elif self.since is None:
            self.since = self.job.started
        elif self.samples is not None:
            self._still = now

    def _note_standing(self, end: float) -> None:
        if self._still is not None and self.since is not None:
            self.stood.append((self.seen, end - self.since))
        self._still = None

    @property
    def rest(self) -> int:
        """The number of items that were surely not started when last looked."""
        return self.stop - self.seen - 1

    def standing(self, end: float) -> list[tuple[int, float]]:
        """Return the items that were seen in flight for long, and for how many seconds.

        To be called once, when the job has ended; only where samples are kept.
        """
        self._note_standing(end)
        return self.stood

    def sampled_times(self, count: int, end: float) -> list[float]:
        """Return when the job began, and when each of `count` items was finished, as far as seen.

        What was not seen was finished by `end`. Empty if no samples are kept.
        """
        if self.samples is None:
            return []
        times = [self.job.started or end]
        for stop, at in self.samples:
            times += [at] * (min(stop - self.chunk.start, count) + 1 - len(times))
        times += [end] * (count + 1 - len(times))
        return times
