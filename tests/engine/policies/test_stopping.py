"""Too many failures stop the map."""

from __future__ import annotations

import math
import pickle
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from metainformant.core import parallel
from metainformant.core.parallel.engine.policies.stopping import StopRule, Unfinished


def fail_below(limit: int) -> object:
    def task(number: int) -> int:
        if number < limit:
            raise ValueError(number)
        return number

    return task


class TestTooManyFailures:
    def test_a_count_that_is_not_exceeded_changes_nothing(self) -> None:
        results = parallel.thread_map(fail_below(3), range(10), max_failures=3)  # type: ignore[call-overload]
        assert [type(result) for result in results[:3]] == [ValueError] * 3
        assert results[3:] == list(range(3, 10))

    def test_a_count_that_is_exceeded_cancels_the_rest(self) -> None:
        results = parallel.thread_map(
            fail_below(10**9), range(10_000), 1, chunk_size=1, max_failures=3
        )  # type: ignore[call-overload]
        kinds = [type(result) for result in results]
        assert kinds[:4] == [ValueError] * 4
        assert kinds[-1] is parallel.TaskCancelledError
        assert len(kinds) == 10_000
        assert "max_failures=3 was exceeded" in results[-1].reason

    def test_it_is_raised_with_the_results_so_far(self) -> None:
        with pytest.raises(parallel.TooManyFailuresError, match="max_failures=0") as caught:
            parallel.thread_map(
                fail_below(1), range(2000), 1, chunk_size=1, max_failures=0, on_error="raise"
            )  # type: ignore[call-overload]
        error = caught.value
        assert (error.failures, error.limit) == (1, 0)
        assert error.results is not None
        assert isinstance(error.results[0], ValueError)
        assert isinstance(error.results[-1], parallel.TaskCancelledError)
        copy = pickle.loads(pickle.dumps(error))
        assert str(copy) == str(error)
        assert len(copy.results) == 2000

    def test_a_fraction_is_judged_after_twenty_items(self) -> None:
        results = parallel.thread_map(fail_below(5), range(100), 1, max_failures=0.5)  # type: ignore[call-overload]
        assert results[5:] == list(range(5, 100))
        results = parallel.thread_map(
            fail_below(10**9), range(10_000), 1, chunk_size=1, max_failures=0.5
        )  # type: ignore[call-overload]
        failed = sum(isinstance(result, ValueError) for result in results)
        assert 20 <= failed < 10_000
        assert isinstance(results[-1], parallel.TaskCancelledError)

    def test_timeouts_count_as_failures(self, release: threading.Event) -> None:
        results = parallel.thread_map(
            lambda _: release.wait(60), range(50), 2, timeout=0.05, max_failures=2
        )
        assert isinstance(results[0], parallel.TaskTimeoutError)
        assert isinstance(results[-1], parallel.TaskCancelledError)

    @pytest.mark.parametrize("value", [-1, 0.0, 1.0, 1.5, float("nan")])
    def test_wrong_values(self, value: float) -> None:
        with pytest.raises(ValueError, match=r"max_failures=.* must be a count"):
            parallel.thread_map(abs, [1], max_failures=value)

    @pytest.mark.parametrize("value", ["3", True])
    def test_wrong_types(self, value: object) -> None:
        with pytest.raises(TypeError, match=r"max_failures=.* must be a count"):
            parallel.thread_map(abs, [1], max_failures=value)  # type: ignore[call-overload]


class TestStuckTasks:
    def rule(self) -> StopRule:
        options: Any = SimpleNamespace(
            deadline=None, cancel=None, max_failures=None, max_abandoned=2
        )
        return StopRule(options, 0.0)

    def test_as_many_as_are_allowed_change_nothing(self) -> None:
        rule = self.rule()
        rule.saw_stuck(2, 10.0)
        assert not rule.holds_back
        assert rule.stop(100.0) is None

    def test_more_get_a_last_moment_to_end_in_which_nothing_is_started(self) -> None:
        rule = self.rule()
        rule.saw_stuck(3, 10.0)
        assert rule.holds_back
        assert rule.stop(10.5) is None
        assert 10.5 < rule.next_wakeup(10.5) < 10.6
        rule.saw_stuck(3, 10.7)  # no new moment
        stop = rule.stop(10.8)
        assert stop is not None
        assert "3 tasks are stuck, more than max_abandoned=2" in stop.reason

    def test_those_that_end_in_time_are_forgotten(self) -> None:
        rule = self.rule()
        rule.saw_stuck(3, 10.0)
        rule.saw_stuck(2, 10.5)
        assert not rule.holds_back
        assert rule.stop(20.0) is None
        assert rule.next_wakeup(20.0) == math.inf


class TestBrokenWorkers:
    def test_the_reason_is_a_part_of_a_sentence(self) -> None:
        options: Any = SimpleNamespace(deadline=None, cancel=None, max_failures=None)
        rule = StopRule(options, 0.0)
        rule.broken = parallel.ParallelError("a worker died. Look at its log.")
        stop = rule.stop(0.0)
        assert stop is not None
        text = str(Unfinished(0, "x").error(stop.reason))
        assert text.endswith(": a worker died. Look at its log.")
        assert stop.error(None) is rule.broken
