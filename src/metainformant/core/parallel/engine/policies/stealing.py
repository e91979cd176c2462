"""The choice of the worker from which an idle one takes items, and of how many."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..assignment import Assignment

# Seconds of work below which nothing is stolen from a worker that gets on: handing it over would
# take longer.
MIN_STEAL_SECONDS = 0.001


def choose_steal(
    assignments: Iterable[Assignment], now: float, seconds_per_item: float
) -> tuple[Assignment, int] | None:
    """Choose an assignment to steal from, and the index of the first item to take.

    That is half of the largest rest. Return None if there is nothing to take, or if it is not
    worth it yet: a small rest is done sooner than handed over, unless the item in flight turns
    out to be slow.
    """
    largest = None
    for assignment in assignments:
        assignment.look(now)
        if largest is None or assignment.rest > largest.rest:
            largest = assignment
    if largest is None or largest.rest < 1:
        return None
    stands = largest.since is not None and now >= largest.since + MIN_STEAL_SECONDS
    if not stands and largest.rest * seconds_per_item < MIN_STEAL_SECONDS:
        return None
    return largest, largest.stop - (largest.rest + 1) // 2
