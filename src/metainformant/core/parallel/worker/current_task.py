"""The description of the current task, for the task itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ..public import public
from .running import get_describe


@public
class CurrentTask(NamedTuple):
    """The task that asked.

    Attributes:
        index: position of its item in the input, counted from 0.
        attempt: which try this is, counted from 1.
        seconds_left: seconds until its timeout, as far as the map has seen, which may be a little
            more than that; None without a timeout.
    """

    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody misses in a record
    attempt: int
    seconds_left: float | None
    is_cancelled: Callable[[], bool]

    def cancelled(self) -> bool:
        """Return whether nobody waits for the result any more: a good moment to return.

        That is so after its timeout, and once the map was stopped or left.
        """
        return self.is_cancelled()


@public
def current_task() -> CurrentTask | None:
    """Return what is known about the task that calls this; None outside of a map's worker.

    Long tasks that cannot be stopped from outside can ask from time to time whether they should
    go on. Costs about a microsecond.

    >>> from metainformant.core import parallel
    >>> def index(item):
    ...     return parallel.current_task().index
    >>> parallel.thread_map(index, "abc")
    [0, 1, 2]
    >>> parallel.current_task() is None
    True
    """
    describe = get_describe()
    return None if describe is None else describe()
