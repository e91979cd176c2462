"""The reasons to stop a map: a deadline, `cancel`, too many failures or stuck tasks.

Pure, except for looking at the `cancel` event: time is an argument. Owned by the engine's thread.
"""

from __future__ import annotations

import math

from ...errors import FATAL, ParallelError, TaskCancelledError, TooManyFailuresError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ...options import Options

# Seconds between two looks at a `cancel` event, which cannot wake us.
_CANCEL_TICK = 0.05
# A fraction of failures means little before so many items are finished.
_MIN_FINISHED = 20
# Seconds that abandoned calls have to end, before it is held against the map that they did not,
# and between two looks at them. They are ended a little later than they are abandoned, see
# `worker/interrupt.py`.
_GRACE_SECONDS = 0.75
_GRACE_TICK = 0.01


class Unfinished:
    """An item that was not finished when its map was stopped."""

    __slots__ = ("index", "item", "started", "waiting")

    def __init__(self, index: int, item: str, started: bool = False, waiting: bool = False) -> None:
        self.index: int = index
        self.item: str = item
        self.started: bool = started
        self.waiting: bool = waiting  # for another attempt

    def error(self, reason: str) -> TaskCancelledError:
        return TaskCancelledError(self.index, self.item, reason, self.started, self.waiting)


class Stop:
    """A reason to stop the map now.

    Attributes:
        reason: in words.
        error: makes the exception, from the first item that was not finished; None if all were.
        always_raises: whether that is raised whatever `on_error` says.
    """

    __slots__ = ("always_raises", "error", "reason")

    def __init__(
        self,
        reason: str,
        error: Callable[[Unfinished | None], ParallelError | None],
        always_raises: bool = False,
    ) -> None:
        self.reason: str = reason
        self.error: Callable[[Unfinished | None], ParallelError | None] = error
        self.always_raises: bool = always_raises


class StopRule:
    """The counts of a map, and the decision whether it should be stopped for them.

    Attributes:
        finished, failures, timeouts: items that are finished, that failed, and that timed out.
        broken: why the map can't go on: its workers, or its checkpoint. Set by any thread, through
            `Engine.fail`, and by the engine.
        exhausted: why nothing more may be started, for its cost; set by the engine.
    """

    def __init__(self, options: Options, now: float) -> None:
        self._options = options
        self._stop_at = math.inf if options.deadline is None else now + options.deadline
        self.finished: int = 0
        self.failures: int = 0
        self.timeouts: int = 0
        self.broken: ParallelError | None = None
        self.exhausted: str | None = None
        self._stuck = 0  # abandoned calls that still ran when last looked
        self._too_many_since = math.inf  # since when that is more than `max_abandoned`

    def saw(self, finished: int, failures: int, timeouts: int = 0) -> None:
        """Count items that have been finished, how many failed, and of these by their timeout."""
        self.finished += finished
        self.failures += failures
        self.timeouts += timeouts

    def is_final(self, error: BaseException) -> bool:
        """Return whether this failure alone ends the map."""
        options = self._options
        return (options.on_error == "raise" and options.max_failures is None) or isinstance(
            error, FATAL
        )

    def next_wakeup(self, now: float) -> float:
        """Return when to ask for `stop` again."""
        at = self._stop_at
        if self._options.cancel is not None:
            at = min(at, now + _CANCEL_TICK)
        return min(at, now + _GRACE_TICK) if self.holds_back else at

    def saw_stuck(self, count: int, now: float) -> None:
        """Learn how many abandoned calls still run."""
        self._stuck = count
        is_too_many = count > self._options.max_abandoned
        self._too_many_since = min(self._too_many_since, now) if is_too_many else math.inf

    @property
    def holds_back(self) -> bool:
        """Whether nothing should be started, as too many abandoned calls run for the moment."""
        return self._too_many_since < math.inf

    def stop(self, now: float) -> Stop | None:
        """Return why the map should stop; None if it should not."""
        options, broken = self._options, self.broken
        if broken is not None:
            return Stop(str(broken).rstrip("."), lambda _: broken, always_raises=True)
        if now >= self._too_many_since + _GRACE_SECONDS:
            return self._too_many_abandoned()
        if self._failed_too_often():
            return self._too_many_failures()
        if now >= self._stop_at:
            return _cancelled(f"deadline={options.deadline:g} s has passed")
        if self.exhausted is not None:
            return _cancelled(self.exhausted)
        return _cancelled("cancel was set") if self.is_over(now) else None

    def is_over(self, now: float) -> bool:
        """Return whether the deadline has passed or `cancel` is set."""
        cancel = self._options.cancel
        return now >= self._stop_at or (cancel is not None and cancel.is_set())

    def _failed_too_often(self) -> bool:
        limit = self._options.max_failures
        if limit is None:
            return False
        if isinstance(limit, int):
            return self.failures > limit
        return self.finished >= _MIN_FINISHED and self.failures > limit * self.finished

    def _too_many_failures(self) -> Stop:
        failures, finished, limit = self.failures, self.finished, self._options.max_failures or 0
        return Stop(
            f"max_failures={limit:g} was exceeded: {failures} of {finished} finished items failed",
            lambda _: TooManyFailuresError(failures, finished, limit),
        )

    def _too_many_abandoned(self) -> Stop:
        most = self._options.max_abandoned
        reason = f"{self._stuck} tasks are stuck, more than max_abandoned={most}"
        return Stop(
            reason,
            lambda _: ParallelError(
                f"{reason}. Python cannot stop their threads, and each keeps its memory. "
                "Give the calls limits of their own (socket timeouts, say), or raise max_abandoned."
            ),
            always_raises=True,
        )


def _cancelled(reason: str) -> Stop:
    def error(first: Unfinished | None) -> ParallelError | None:
        return None if first is None else first.error(reason)  # None: nothing is missing

    return Stop(reason, error)
