"""When a map ends before its items do: a deadline, `cancel`, too many failures or stuck tasks.

Pure but for looking at the `cancel` event: time is an argument. Owned by the engine's thread.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from ...errors import FATAL, ParallelError, TaskCancelledError, TooManyFailuresError
from ...options import Options

# Seconds between two looks at a `cancel` event, which cannot wake us.
_CANCEL_TICK = 0.05
# A fraction of failures means little before so many items are finished.
_ENOUGH_TO_JUDGE = 20


class Unfinished(NamedTuple):
    """An item that was not finished when its map was stopped."""

    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody misses in a record
    item: str
    started: bool = False
    waiting: bool = False  # for another attempt

    def error(self, reason: str) -> TaskCancelledError:
        return TaskCancelledError(self.index, self.item, reason, self.started, self.waiting)


class Stop(NamedTuple):
    """A reason to stop the map now, and what makes the error that tells so.

    That is given the first item that was not finished, or None if all were.
    """

    reason: str
    error: Callable[[Unfinished | None], ParallelError | None]
    always_raises: bool = False


class StopRule:
    def __init__(self, options: Options, now: float) -> None:
        self._options = options
        self._stop_at = math.inf if options.deadline is None else now + options.deadline
        self.finished = 0
        self.failures = 0
        self.timeouts = 0
        # Set by the engine: tasks that were given up and still run; what is wrong with workers.
        self.abandoned = 0
        self.broken: ParallelError | None = None

    def saw(self, finished: int, failures: int, timeouts: int = 0) -> None:
        """Count items that have been finished, how many failed, and of these by their timeout."""
        self.finished += finished
        self.failures += failures
        self.timeouts += timeouts

    def is_final(self, error: BaseException) -> bool:
        """Whether this failure alone ends the map."""
        options = self._options
        return (options.on_error == "raise" and options.max_failures is None) or isinstance(
            error, FATAL
        )

    def next_wakeup(self, now: float) -> float:
        """When to ask for `stop` again."""
        return min(self._stop_at, math.inf if self._options.cancel is None else now + _CANCEL_TICK)

    def stop(self, now: float) -> Stop | None:
        """Why the map should stop, if it should."""
        options, broken = self._options, self.broken
        if broken is not None:
            return Stop(str(broken), lambda _: broken, always_raises=True)
        if self.abandoned > options.max_abandoned:
            return self._too_many_abandoned()
        if self._failed_too_often():
            return self._too_many_failures()
        if now >= self._stop_at:
            return _cancelled(f"deadline={options.deadline:g} s has passed")
        return _cancelled("cancel was set") if self.is_over(now) else None

    def is_over(self, now: float) -> bool:
        """Whether the caller wants to have the map behind him, whatever it is waiting for."""
        cancel = self._options.cancel
        return now >= self._stop_at or (cancel is not None and cancel.is_set())

    def _failed_too_often(self) -> bool:
        limit = self._options.max_failures
        if limit is None:
            return False
        if isinstance(limit, int):
            return self.failures > limit
        return self.finished >= _ENOUGH_TO_JUDGE and self.failures > limit * self.finished

    def _too_many_failures(self) -> Stop:
        failures, finished, limit = self.failures, self.finished, self._options.max_failures or 0
        return Stop(
            f"max_failures={limit:g} was exceeded: {failures} of {finished} finished items failed",
            lambda _: TooManyFailuresError(failures, finished, limit),
        )

    def _too_many_abandoned(self) -> Stop:
        most = self._options.max_abandoned
        reason = f"{self.abandoned} tasks are stuck, more than max_abandoned={most}"
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
