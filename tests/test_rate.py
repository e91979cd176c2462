"""`rate` and `RateLimit`: never too many starts, whoever asks for them."""

from __future__ import annotations

import math
import multiprocessing
import os
import pickle
import tempfile
import time
from bisect import bisect_left
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metainformant.core import parallel
from metainformant.core.parallel import rate_state
from metainformant.core.parallel.rate import take
from tests.backends.table import FORKS


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
    with pytest.raises(error, match=r"amount=.* must be a number of starts or units"):
        parallel.RateLimit(per_second)


@given(
    pauses=st.lists(st.sampled_from([0.0, 0.001, 0.05, 0.1, 0.25, 3.0]), max_size=100),
    costs=st.lists(st.sampled_from([0.0, 0.5, 1.0, 7.0, 40.0]), min_size=1, max_size=5),
    burst=st.sampled_from([1.0, 3.0, 25.0]),
)
def test_no_more_is_taken_in_any_time_than_the_burst_and_the_rate_allow(
    pauses: list[float], costs: list[float], burst: float
) -> None:
    clock = Clock()
    limit = parallel.RateLimit(600, per=60, burst=burst, clock=clock)
    taken: list[tuple[float, float]] = []
    for number, pause in enumerate(pauses):
        clock.now += pause
        cost = costs[number % len(costs)]
        if limit.try_acquire(cost=cost) == 0:
            taken.append((clock.now, cost))
    largest = max(0.0, max(costs) - burst)  # what is larger than the burst is taken all the same
    for first in range(len(taken)):
        for last in range(first, len(taken)):
            units = sum(cost for _, cost in taken[first : last + 1])
            seconds = taken[last][0] - taken[first][0]
            assert units <= burst + largest + 10 * seconds + 1e-6


def test_a_burst_is_there_at_the_beginning_and_after_a_pause() -> None:
    clock = Clock()
    limit = parallel.RateLimit(60, per=60, burst=3, clock=clock)
    assert [limit.try_acquire() for _ in range(4)] == [0, 0, 0, pytest.approx(1)]
    clock.now += 100
    assert [limit.try_acquire() for _ in range(4)] == [0, 0, 0, pytest.approx(1)]


def test_a_burst_is_there_on_a_machine_that_was_started_just_now() -> None:
    clock = Clock()
    clock.now = 1.0
    limit = parallel.RateLimit(10, per=60, burst=10, clock=clock)
    assert [limit.try_acquire() for _ in range(10)] == [0] * 10
    assert limit.try_acquire() == pytest.approx(6)


def test_what_costs_more_than_the_burst_waits_until_the_limit_is_full() -> None:
    clock = Clock()
    limit = parallel.RateLimit(10, burst=5, clock=clock)
    assert limit.try_acquire() == 0
    assert limit.try_acquire(cost=20) == pytest.approx(0.1)
    clock.now += 0.1
    assert limit.try_acquire(cost=20) == 0
    assert limit.try_acquire() == pytest.approx(1.6)  # 15 that were not there, and its own


def test_nothing_is_taken_from_a_limit_for_a_start_that_another_holds_back() -> None:
    clock = Clock()
    calls = parallel.RateLimit(10, clock=clock)
    tokens = parallel.RateLimit(100, clock=clock)
    assert take([(calls, 1), (tokens, 100)], clock.now) == 0
    clock.now += 0.5
    assert take([(calls, 1), (tokens, 100)], clock.now) == pytest.approx(0.5)
    assert take([(calls, 1), (tokens, 10)], clock.now) == 0
    assert calls.try_acquire() == 0  # had the first of these two taken one, there would be none


def test_what_is_settled_is_there_again_or_missing() -> None:
    clock = Clock()
    limit = parallel.RateLimit(10, clock=clock)
    assert limit.try_acquire(cost=10) == 0
    assert limit.try_acquire() == pytest.approx(0.1)
    limit.settle(15, guessed=10)
    assert limit.try_acquire() == pytest.approx(0.6)
    limit.settle(0, guessed=15)
    assert limit.try_acquire() == 0


@pytest.mark.parametrize("cost", [-1, math.nan, math.inf, "3", True])
@pytest.mark.parametrize("method", ["acquire", "try_acquire"])
def test_a_wrong_number_of_units_is_refused_and_takes_nothing(method: str, cost: Any) -> None:
    limit = parallel.RateLimit(1e-6, burst=2)
    with pytest.raises((TypeError, ValueError), match=rf"RateLimit\.{method}: cost=.* 0 or more"):
        getattr(limit, method)(cost=cost)
    assert limit.try_acquire(0.0, cost=2) == 0
    assert limit.try_acquire(0.0) > 0


def test_settling_needs_to_know_what_was_guessed() -> None:
    limit = parallel.RateLimit(10, cost=len)
    with pytest.raises(parallel.ParallelError, match="there is no task whose cost"):
        limit.settle(3)
    with pytest.raises(ValueError, match="actual=-1 must be a number of units"):
        limit.settle(-1)
    other = parallel.RateLimit(10)
    (error,) = parallel.thread_map(lambda item: limit.settle(1), ["a"], rate=RATE_WITH_COST)
    assert isinstance(error, parallel.ParallelError)
    other.settle(1)


RATE_WITH_COST = parallel.RateLimit(1000, cost=len)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"per": 0}, ValueError, "per=0 must be a number of seconds above 0"),
        ({"burst": 0.5}, ValueError, "burst=0.5 must be a number of starts or units, at least 1"),
        ({"cost": 3}, TypeError, "cost=3 must be a plain function"),
    ],
)
def test_a_wrong_limit_is_refused(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        parallel.RateLimit(1, **options)


def take_some(times: int, limit: parallel.RateLimit) -> int:
    return sum(limit.try_acquire() == 0 for _ in range(times))


def give_one_back(_: int, limit: parallel.RateLimit) -> None:
    limit.settle(0, guessed=1)


def never_again(amount: int) -> parallel.RateLimit:
    """Return a limit of so many starts, and none after them."""
    return parallel.RateLimit(1, per=1e4, burst=amount)


@pytest.mark.filterwarnings(*(mark.args[0] for mark in FORKS))
class TestProcesses:
    @pytest.mark.parametrize("start_method", ["fork", "spawn"])
    def test_all_that_know_a_limit_keep_within_it_together(self, start_method: Any) -> None:
        if start_method not in multiprocessing.get_all_start_methods():
            pytest.skip(f"there is no {start_method} here")
        limit = never_again(1000)
        assert take_some(100, limit) == 100
        task = partial(take_some, limit=limit)
        counts = parallel.process_map(
            task, [500] * 4, 2, start_method=start_method, on_error="raise"
        )
        assert sum(counts) == 900
        assert take_some(1, limit) == 0

    def test_what_they_settle_is_there_for_all(self) -> None:
        limit = never_again(5)
        assert take_some(5, limit) == 5
        parallel.process_map(partial(give_one_back, limit=limit), range(3), 2, on_error="raise")
        assert take_some(5, limit) == 3

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
    def test_a_process_that_only_inherits_it_does_too(self) -> None:
        processes = multiprocessing.get_context("fork")
        taken = processes.SimpleQueue()

        def work() -> None:
            taken.put(take_some(300, limit))

        limit = never_again(700)
        children = [processes.Process(target=work) for _ in range(4)]
        for child in children:
            child.start()
        for child in children:
            child.join()
        assert sum(taken.get() for _ in children) == 700

    def test_a_copy_is_the_same_limit(self) -> None:
        limit = parallel.RateLimit(10, per=60, burst=20, cost=len)
        copy: parallel.RateLimit = pickle.loads(pickle.dumps(limit))
        assert copy.shares_with(limit)
        assert (copy.amount, copy.per, copy.burst) == (10, 60, 20)
        assert copy.cost_of("ATG") == 3
        assert copy.try_acquire(cost=20) == 0
        assert limit.try_acquire(cost=1) > 0
        copy.pause(1000)
        assert limit.try_acquire() > 900

    def test_nothing_is_taken_from_a_shared_one_for_a_start_that_another_holds_back(self) -> None:
        shared, own = never_again(5), never_again(3)
        copy: parallel.RateLimit = pickle.loads(pickle.dumps(shared))
        taken = [take([(copy, 1.0), (own, 1.0)], time.monotonic()) == 0 for _ in range(5)]
        assert sum(taken) == 3
        assert take_some(5, shared) == 2

    def test_the_file_goes_with_the_limit(self, tmp_path: Path, monkeypatch: Any) -> None:
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        limit = parallel.RateLimit(10)
        assert not list(tmp_path.iterdir())
        sent = pickle.dumps(limit)
        (file,) = tmp_path.iterdir()
        assert file.stat().st_size == 16
        del limit
        assert not list(tmp_path.iterdir())
        with pytest.raises(parallel.ParallelError, match="shared by processes of one machine"):
            pickle.loads(sent)

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
    @pytest.mark.parametrize("lacks", ["room", "files"])
    def test_where_it_can_not_be_shared_that_is_told(self, monkeypatch: Any, lacks: str) -> None:
        limit = parallel.RateLimit(10)
        if lacks == "room":
            monkeypatch.setattr(tempfile, "tempdir", "/nowhere/at/all")
        else:
            monkeypatch.setattr(rate_state, "_MOST_FILES", 0)
        results = multiprocessing.get_context("fork").SimpleQueue()

        def work() -> None:
            try:
                limit.acquire()
            except parallel.ParallelError as error:
                results.put(str(error))

        child = multiprocessing.get_context("fork").Process(target=work)
        child.start()
        child.join()
        assert "this process is a fork, with which the limit could not be shared" in results.get()
        assert limit.try_acquire() == 0
