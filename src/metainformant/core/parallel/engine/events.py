"""The port to observers, and the events that they get: the only way from the engine to them.

The engine emits events per chunk and per wait, never per item, in its own thread. If there is no
observer, it calls nothing and allocates nothing.
"""

from __future__ import annotations

import math

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Literal

    from ..errors import Frame
    from .backend import Finished
    from .ending import Ending
    from .outcome_batch import OutcomeBatch
    from .policies.concurrency import WorkersChanged
    from .source import Chunk

    # Why a worker that there could be has nothing to do: the input is slow; what was read is not
    # taken by the consumer; starts are limited, or paused; items wait for another attempt; nothing
    # is left; the items are so short that one worker is enough; it is being started or handed
    # something; or the engine is delivering, and calls `on_complete`.
    IdleReason = Literal[
        "input", "consumer", "rate", "retries", "tail", "tiny", "start", "callbacks"
    ]


class Counts:
    """The progress of a run, in items, except `running` and `queued`."""

    __slots__ = (
        "failed",
        "finished",
        "queued",
        "retried",
        "running",
        "throttled",
        "timed_out",
        "waiting",
        "workers",
    )

    def __init__(
        self,
        finished: int,
        failed: int,
        timed_out: int,
        retried: int,
        running: int,
        throttled: int = 0,
        queued: int = 0,
        waiting: int = 0,
        workers: Sequence[str] = (),
    ) -> None:
        self.finished: int = finished
        self.failed: int = failed  # of these, for good
        self.timed_out: int = timed_out  # of those
        self.retried: int = retried  # how many retries there were
        self.running: int = running  # how many chunks workers are running now
        self.throttled: int = throttled  # how many attempts services have refused
        self.queued: int = queued  # how many chunks are handed out and not started
        self.waiting: int = waiting  # how many items wait for another attempt
        self.workers: Sequence[str] = workers  # the names of those that run something


class SlowItem:
    """An item that has been running for `slow_after` seconds or more."""

    __slots__ = ("index", "item", "seconds", "stack", "worker")

    def __init__(
        self, index: int, item: Any, seconds: float, worker: str, stack: tuple[Frame, ...]
    ) -> None:
        self.index: int = index
        self.item: Any = item
        self.seconds: float = seconds
        self.worker: str = worker
        self.stack: tuple[Frame, ...] = stack


class ChunkRun:
    """A chunk that a worker has run, or as much of it as it has.

    Attributes:
        chunk: has the items. The first `len(finished.values)` were run.
        finished: their values or errors, each of this one attempt, and the times of each if the
            job kept them. What is retried is among them.
        worker: who ran them.
        handed_out: when the chunk was submitted.
        started, ended: when the first item was started, and the last one ended.
        is_sampled: whether the job kept no times, so that those of its items are those at which
            the engine has looked at it.
        standing: in that case, items that were seen in flight for long, by index, with their
            seconds.
        given_up: if an item after those was in flight and was given up when the run `ended`, for
            how many seconds it had run by then; else None.
    """

    __slots__ = (
        "chunk",
        "ended",
        "finished",
        "given_up",
        "handed_out",
        "is_sampled",
        "standing",
        "started",
        "worker",
    )

    def __init__(
        self,
        chunk: Chunk,
        finished: Finished,
        worker: str,
        handed_out: float,
        started: float,
        ended: float,
        standing: list[tuple[int, float]],
        *,
        is_sampled: bool = False,
        given_up: float | None = None,
    ) -> None:
        self.chunk: Chunk = chunk
        self.is_sampled: bool = is_sampled
        self.finished: Finished = finished
        self.worker: str = worker
        self.handed_out: float = handed_out
        self.started: float = started
        self.ended: float = ended
        self.standing: list[tuple[int, float]] = standing
        self.given_up: float | None = given_up


class Observer:
    """An observer of one run. The engine calls it in its thread; what it raises ends the run."""

    # Seconds between two calls of `on_progress`; the last one comes at the end in any case.
    interval: float = math.inf
    # Whether `on_chunk`, `on_outcomes` and `on_wait` are called, and jobs note times.
    wants_chunks = False

    def on_progress(self, counts: Counts, elapsed: float) -> None:
        """Learn the progress of the run, `elapsed` seconds after the call began."""

    def on_slow_item(self, slow: SlowItem) -> None:
        """Learn that an item is slow; called once for each."""

    def on_pause(self, seconds: float) -> None:
        """Learn that nothing is started for so long, for which a service has asked."""

    def on_workers_changed(self, change: WorkersChanged) -> None:
        """Learn that more or fewer workers are in use from now on."""

    def on_chunk(self, run: ChunkRun) -> None:
        """Learn that a worker has run a chunk, before its outcomes come."""

    def on_outcomes(self, batch: OutcomeBatch) -> None:
        """Learn the outcomes of items, just before they are delivered."""

    def on_wait(
        self, began: float, ended: float, busy: int, idle: int, reason: IdleReason | None
    ) -> None:
        """Learn that the engine has waited, with `busy` chunks handed out and `idle` workers."""

    def on_end(self, ending: Ending | None) -> None:
        """Release everything: the run has ended, in this way.

        None stands for a run that was interrupted, or was never started.
        """
