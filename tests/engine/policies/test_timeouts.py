"""When items are overdue or slow, and when to look again."""

from __future__ import annotations

import math

from metainformant.core.parallel.engine.policies.timeouts import Timeouts

from .jobs import assignment_at


def test_an_item_is_overdue_when_it_has_been_seen_for_so_long() -> None:
    timeouts = Timeouts(timeout=2.0)
    assignment = assignment_at(0, 10, done=4)
    assert timeouts.overdue_at(assignment) == math.inf  # not seen yet
    assignment.look(5.0)
    assert timeouts.overdue_at(assignment) == 7.0


def test_what_is_not_in_flight_is_never_overdue() -> None:
    assignment = assignment_at(0, 10, done=10)
    assignment.look(5.0)
    assert Timeouts(timeout=2.0).overdue_at(assignment) == math.inf
    assert Timeouts().overdue_at(assignment_at(0, 10, done=4)) == math.inf


def test_a_slow_item_is_reported_once() -> None:
    timeouts = Timeouts(slow_after=1.0)
    assignment = assignment_at(0, 10, done=4)
    assignment.look(5.0)
    assert not timeouts.is_slow(assignment, 5.9)
    assert timeouts.is_slow(assignment, 6.0)
    assignment.reported_slow = assignment.seen
    assert not timeouts.is_slow(assignment, 6.0)


def test_looks_are_frequent_enough_for_the_promised_lateness() -> None:
    for timeout in (0.01, 1.0, 100.0):
        timeouts = Timeouts(timeout=timeout)
        assignment = assignment_at(0, 10, done=4)
        assignment.look(5.0)
        late = max(0.05, 0.05 * timeout)
        wakeup = timeouts.next_wakeup([assignment], 5.0)
        assert wakeup <= min(5.0 + late / 2, timeouts.overdue_at(assignment))


def test_nothing_is_looked_for_where_there_is_no_limit() -> None:
    assignment = assignment_at(0, 10, done=4)
    assignment.look(5.0)
    assert Timeouts().next_wakeup([assignment], 5.0) == math.inf
    assert Timeouts(poll_interval=0.005).next_wakeup([assignment], 5.0) == 5.005
