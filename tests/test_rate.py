"""`rate` and `RateLimit`: never too many starts, whoever asks for them."""

from __future__ import annotations

from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metainformant.core import parallel


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def most_in_a_window(starts: list[float], seconds: float) -> int:
    starts = sorted(starts)
    return max(bisect_left(starts, at + seconds) - n for n, at in enumerate(starts))


@given(
    pauses=st.lists(st.sampled_from([0.0, 0.001, 0.05, 0.1, 0.25, 3.0]), max_size=200),
    rate=st.sampled_from([0.5, 3.0, 10.0, 200.0]),
)
def test_starts_keep_their_distance(pauses: list[float], rate: float) -> None:
    """In any time t there are at most rate * t + 2 starts: one at each end, and one for a pause."""
    clock = Clock()
    limit = parallel.RateLimit(rate, clock=clock)
    starts: list[float] = []
    for pause in pauses:
        clock.now += pause
        wait = limit.try_acquire()
        assert 0 <= wait <= 1 / rate + 1e-6
        if not wait:
            starts.append(clock.now)
    for first in range(len(starts)):
        for last in range(first, len(starts)):
            most = (starts[last] - starts[first]) * rate + 2
            assert last - first + 1 <= most + 1e-6


def test_late_starts_do_not_delay_the_others() -> None:
    clock = Clock()
    limit = parallel.RateLimit(10, clock=clock)
    starts = 0
    for _ in range(1000):
        clock.now += 0.013  # somebody who looks too seldom
        starts += limit.try_acquire() == 0
    assert starts == pytest.approx(1000 * 0.13, rel=0.3)
    clock.now = 1000.0 + 60
    exact = parallel.RateLimit(10, clock=clock)
    taken = 0
    while clock.now < 1000.0 + 70:
        wait = exact.try_acquire()
        if wait:
            clock.now += wait + 0.004  # late, but always by less than an interval
        else:
            taken += 1
    assert taken == pytest.approx(100, abs=2)


def test_after_a_pause_one_start_may_come_early_and_no_more() -> None:
    clock = Clock()
    limit = parallel.RateLimit(10, clock=clock)
    assert limit.try_acquire() == 0
    clock.now += 60
    assert [limit.try_acquire() == 0 for _ in range(4)] == [True, True, False, False]


def test_a_pause_holds_for_everybody() -> None:
    clock = Clock()
    limit = parallel.RateLimit(10, clock=clock)
    limit.pause(5)
    limit.pause(2)
    clock.now += 4.99
    assert limit.try_acquire() > 0
    clock.now += 0.12
    assert limit.try_acquire() == 0
    limit.pause(0)
    assert limit.try_acquire() > 0
    with pytest.raises(ValueError, match="seconds=-1 must be a finite number"):
        limit.pause(-1)


@pytest.mark.parametrize("per_second", [0, -1, float("nan"), float("inf"), "3", True])
def test_a_wrong_rate_is_refused(per_second: float) -> None:
    error = TypeError if isinstance(per_second, (str, bool)) else ValueError
    with pytest.raises(error, match=r"per_second=.* must be a number of starts per second"):
        parallel.RateLimit(per_second)
