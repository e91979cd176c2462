"""The step from a call to one whose tasks can correct what they cost: see `RateLimit.settle`."""

from __future__ import annotations

from functools import partial

from ..spending import Call, Spending, enter, run_in
from ..worker.frames import own_frame

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from ..calls import MapCall
    from ..rate import RateLimit


def with_charges(call: MapCall) -> MapCall:
    """Return the call as it is made if its limits have costs; nothing changes if none has."""
    options, limits = call.options, call.options.rate
    if limits is None or not any(limit.has_cost for limit in limits):
        return call
    spending = None
    if options.max_cost is not None:
        spending = Spending(next(one for one in limits if one.has_cost), options.max_cost)
    charged = call.replace(func=Charged(call.func, limits, spending), spending=spending)
    if options.on_complete is None:
        return charged
    told = partial(_tell, options.on_complete, limits, spending)
    return charged.replace(options=options.replace(on_complete=told))


class Charged:
    """A function of an item that lets `settle` know the item.

    Where it is sent, to another process, it is the bare function: the limits stay here.
    """

    def __init__(
        self,
        func: Callable[..., Any],
        limits: Sequence[RateLimit],
        spending: Spending | None,
    ) -> None:
        self.__wrapped__ = func  # whose name and code are those of the task
        self._limits = limits
        self._spending = spending

    @own_frame
    def __call__(self, item: Any, *state: Any) -> Any:
        enter(Call(self._limits, item, self._spending))
        return self.__wrapped__(item, *state)

    def __reduce__(self) -> tuple[Any, ...]:
        return _bare, (self.__wrapped__,)


def _bare(func: Any) -> Any:
    return func


def _tell(
    on_complete: Callable[[int, Any, Any], object],
    limits: Sequence[RateLimit],
    spending: Spending | None,
    index: int,
    item: Any,
    result: Any,
) -> None:
    """Call `on_complete` such that it can settle what the item has cost."""
    run_in(Call(limits, item, spending), on_complete, index, item, result)
