"""What the tasks of a map cost, and the correction of what was guessed: see `RateLimit.settle`."""

from __future__ import annotations

import threading

from .errors import ParallelError
from .rate import charged

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from .rate import Charge, RateLimit


class Spending:
    """The cost of the tasks of one map, retries included, against `max_cost`.

    Attributes:
        limit: the one whose units are counted.
        most: how many of them may be spent.
    """

    def __init__(self, limit: RateLimit, most: float) -> None:
        self.limit = limit
        self.most = most
        self._lock = threading.Lock()
        self._spent = 0.0  # under the lock: tasks correct it

    @property
    def spent(self) -> float:
        with self._lock:
            return self._spent

    def add(self, units: float) -> None:
        with self._lock:
            self._spent += units


class Call:
    """A call of a task, or of `on_complete`, whose cost can be corrected while it runs."""

    def __init__(
        self, limits: Sequence[RateLimit], item: Any, spending: Spending | None = None
    ) -> None:
        self._limits = limits
        self._item = item
        self._spending = spending
        self._settled: list[Charge] = []  # by the thread of the call alone

    def settle(self, limit: RateLimit, actual: float) -> None:
        """Correct what the call took from `limit`."""
        own = next((own for own in self._limits if own.shares_with(limit)), None)
        if own is None:
            raise ParallelError(f"RateLimit.settle: the map has no limit {limit!r} as its rate")
        before = [units for settled, units in self._settled if settled is own]
        less = (before[-1] if before else own.cost_of(self._item)) - actual
        self._settled.append((own, actual))
        own.give_back(less)
        if self._spending is not None and self._spending.limit is own:
            self._spending.add(-less)


def enter(call: Call) -> None:
    """Let `settle` know which call it is in, until the next one is entered.

    A worker has a context of its own, which ends with it. A coroutine is called here and run later,
    so the end of the call can't be what ends this.
    """
    charged.set(call)


def run_in(call: Call, func: Callable[..., Any], *arguments: Any) -> None:
    """Call `func`, for which `settle` is to know which call it is in."""
    token = charged.set(call)
    try:
        func(*arguments)
    finally:
        charged.reset(token)
