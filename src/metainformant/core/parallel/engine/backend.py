"""The port to a kind of worker.

Workers do nothing but run. Everything else (timeouts, balancing, ordering, stopping) is done by
the engine, which hands out jobs and looks at how far they are. All methods but `Backend.wake` are
called by the one thread that runs the engine, and none blocks except `Backend.wait` and `close`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if not TYPE_CHECKING:
    Protocol = object  # what is described here is for type checkers
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, Protocol

    from ..errors import Frame
    from ..host.usage import Usage
    from .source import Chunk


class Finished:
    """The outcomes of the items of a job that are finished, in order.

    Attributes:
        values: one per item; a failed item's exception stands among them.
        failed: the failures, by position. A function may return an exception that it never raised.
        times: when each item was started (monotonic clock), and at the end when the last one ended,
            if the run keeps times; else empty.
        usage: what the whole job used of the machine; None if nobody measured it.
    """

    __slots__ = ("failed", "times", "usage", "values")

    def __init__(
        self,
        values: list[Any],
        failed: dict[int, BaseException],
        times: list[float] | None = None,
        usage: Usage | None = None,
    ) -> None:
        self.values: list[Any] = values
        self.failed: dict[int, BaseException] = failed
        self.times: list[float] = times or []
        self.usage: Usage | None = usage

    def since(self, position: int) -> Finished:
        """Return the outcomes from `position` on."""
        if position == 0:
            return self
        failed = {at - position: error for at, error in self.failed.items() if at >= position}
        return Finished(self.values[position:], failed, self.times[position:])


def nothing_runs() -> bool:
    """Stand for `Job.is_running` where no call can be running."""
    return False


class Job(Protocol):
    """A chunk that was handed out: waiting for a worker, being run, or ended.

    Positions count from 0, the first item of the chunk.
    """

    @property
    def worker(self) -> str:
        """Name of the worker that runs it; empty before it is started."""
        ...

    @property
    def started(self) -> float | None:
        """The time at which its first item was started; None before that."""
        ...

    @property
    def ended(self) -> float:
        """The time at which it ended; meaningful once `Backend.wait` has returned it."""
        ...

    def will_expire(self, position: int, at: float) -> None:
        """Learn when the item in flight is overdue, for tasks that ask how much time is left."""
        ...

    def completed(self) -> int:
        """Count the finished items. This may be outdated at once, but only be too low."""
        ...

    def truncate(self, keep: int) -> int:
        """Let no item from `keep` on be started; return the position from which on none was.

        That is `keep`, or more if the worker was faster: as far as the item in flight; or less if
        the worker could only be stopped at once. All from there on are the engine's. The job may
        end without having run the last item before the returned position.
        """
        ...

    def peek(self, stop: int) -> Finished:
        """Return the outcomes of the first `stop` items, which are finished."""
        ...

    def finish(self) -> Finished:
        """Return all outcomes, once the job has ended."""
        ...

    def abandon(self) -> bool:
        """Give up the job, and stop counting on the worker that runs it.

        Return False if the job has just ended: then nothing changes, and `wait` returns it.
        """
        ...

    def interrupt(self) -> None:
        """End the call in flight of an abandoned job, if that is possible."""
        ...

    @property
    def is_running(self) -> Callable[[], bool]:
        """A function that returns whether the call in flight of an abandoned job still runs.

        A TaskTimeoutError keeps this, so it may lead to the items of the job only while that runs.
        """
        ...

    def remarks(self) -> tuple[str, str]:
        """Say what is known of the call of an abandoned job, in sentences.

        That is: what else has kept it, and what to know if it still runs. Empty texts if there is
        nothing to say that does not hold for any call in a thread.
        """
        ...

    def stack(self) -> tuple[Frame, ...]:
        """Return the stack of the item in flight, outermost call first; empty if unknown."""
        ...


class Backend(Protocol):
    """A kind of worker, for one map."""

    max_chunk: int | None  # the most items that a job should have; None for any number
    # Whether the engine can see how far jobs are. If not, whoever runs them watches their items.
    can_watch: bool
    # Whether workers take the next job by themselves, so that there should always be one: else it
    # is cut just when one is free, by what is known of the speed then.
    has_queue: bool
    share_gil: bool  # whether workers take turns, as threads do that share the GIL
    # Whether workers are tasks of one thread: they start at once, and the thread hands jobs to them
    # while all others wait.
    share_thread: bool
    # Whether what `truncate` could not take back may be had a little later, since a worker far
    # away has to be asked for it: then stealing from a job is tried again.
    truncates_late: bool

    @property
    def capacity(self) -> int | None:
        """The most workers that there can be just now; None for any number."""
        ...

    def spawn(self) -> None:
        """Add a worker; ParallelError if the system allows no more."""
        ...

    def submit(self, chunk: Chunk, *, keep_times: bool = False) -> Job:
        """Queue a chunk for the next free worker.

        With `keep_times` the job notes when each item was started, unless the backend was told
        when it was made whether jobs do.
        """
        ...

    def queued(self) -> int:
        """Count the jobs that are waiting for a worker, more or less."""
        ...

    def remind(self) -> None:
        """Let `wait` return when a worker gets as far in the queue as it reaches now."""
        ...

    def wait(self, timeout: float | None) -> Sequence[Job]:
        """Wait until there is something to do, but no more than `timeout` seconds.

        That is: a worker finds the queue empty or ends, a reminder is due, or a job ended that
        the engine wants to know of at once. Returns all jobs that ended, in order of ending,
        which may be none.
        """
        ...

    def wake(self) -> None:
        """Let `wait` return soon. Any thread may call this at any time."""
        ...

    def abandoned(self) -> int:
        """Return how many calls of abandoned jobs still run."""
        ...

    def workers(self) -> int:
        """Count the workers that have neither ended nor been abandoned.

        A worker that ends counts until `wait` has seen it, which it does soon.
        """
        ...

    def dismiss(self) -> None:
        """Let workers end that find the queue empty, until something is submitted again."""
        ...

    def close(self, is_over: Callable[[], bool]) -> None:
        """End all workers. Wait until they have ended, except abandoned ones, or until it is over.

        Raises:
            ParallelError: if a worker could not clean up.
        """
        ...

    def abort(self) -> None:
        """End all workers: let no queued job be started, wait for nothing, and raise nothing."""
        ...
