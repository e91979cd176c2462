"""`rate` and `RateLimit`: never too many starts, whoever asks for them."""

from __future__ import annotations

import threading
import time
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


def test_a_limit_is_shared_by_maps_and_threads() -> None:
    limit = parallel.RateLimit(100)
    starts: list[float] = []

    def task(_: int) -> None:
        starts.append(time.monotonic())

    def by_hand() -> None:
        for _ in range(10):
            limit.acquire()
            task(0)

    threads = [
        threading.Thread(target=lambda: parallel.thread_map(task, range(15), rate=limit)),
        threading.Thread(target=lambda: list(parallel.imap(task, range(15), rate=limit))),
        threading.Thread(target=by_hand),
    ]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(starts) == 40
    assert time.monotonic() - began >= 0.37  # 38 intervals of 10 ms


@pytest.mark.parametrize("chunk_size", [None, 5])
def test_a_map_keeps_to_its_rate_with_retries(chunk_size: int | None) -> None:
    starts: list[float] = []

    def task(item: int) -> int:
        starts.append(time.monotonic())
        if len(starts) % 3 == 0:
            raise OSError
        return item

    results = parallel.thread_map(
        task, range(40), rate=200, retries=20, backoff=0, chunk_size=chunk_size
    )
    assert results == list(range(40))
    assert len(starts) > 50
    # One more than evenly spaced starts would be, and some room for threads that come late.
    assert starts[-1] - starts[0] >= (len(starts) - 3) / 200 - 0.05


def test_a_rate_stops_nothing_from_being_cancelled() -> None:
    results = parallel.thread_map(abs, range(10), rate=0.01, deadline=0.1)
    assert results[0] == 0
    assert all(isinstance(result, parallel.TaskCancelledError) for result in results[2:])


@pytest.mark.parametrize("per_second", [0, -1, float("nan"), float("inf"), "3", True])
def test_a_wrong_rate_is_refused(per_second: float) -> None:
    error = TypeError if isinstance(per_second, (str, bool)) else ValueError
    with pytest.raises(error, match=r"per_second=.* must be a number of starts per second"):
        parallel.RateLimit(per_second)
