"""From whom an idle worker takes work."""

from __future__ import annotations

from metainformant.core.parallel.engine.assignment import Assignment
from metainformant.core.parallel.engine.policies.stealing import MIN_STEAL_SECONDS, choose_steal

from .jobs import assignment_at


def steal(*assignments: Assignment, now: float = 1.0, speed: float = 1.0) -> object:
    return choose_steal(assignments, now, speed)


def test_half_of_the_largest_rest() -> None:
    small, large = assignment_at(0, 10, done=4), assignment_at(10, 30, done=2)
    # Items 13 to 29 have not been started: 17, of which 9 are taken.
    assert steal(small, large) == (large, 21)


def test_the_item_in_flight_is_never_taken() -> None:
    assert steal(assignment_at(0, 5, done=4)) is None
    assert steal() is None


def test_a_small_rest_is_left_to_a_worker_that_gets_on() -> None:
    assignment = assignment_at(0, 10, done=4)
    speed = MIN_STEAL_SECONDS / 10
    assert steal(assignment, now=1.0, speed=speed) is None
    # The same item is still in flight, so it is not that fast.
    assert steal(assignment, now=1.0 + MIN_STEAL_SECONDS, speed=speed) == (assignment, 7)
