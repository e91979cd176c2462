"""`retries`, `retry_on`, `backoff`: who gets another attempt, when, and what is told of it."""

from __future__ import annotations

import collections
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metainformant.core import parallel
from metainformant.core.parallel.calls import choose_workers, make_call
from metainformant.core.parallel.engine.policies.retries import Retries
from metainformant.core.parallel.engine.source import Chunk


class Flaky:
    """Fails the first `failures` attempts of every item."""

    def __init__(self, failures: int, kind: type[Exception] = OSError) -> None:
        self.failures = failures
        self.kind = kind
        self.attempts: collections.Counter[Any] = collections.Counter()
        self.lock = threading.Lock()

    def __call__(self, item: Any) -> Any:
        with self.lock:
            self.attempts[item] += 1
            attempt = self.attempts[item]
        task = parallel.current_task()
        assert task is not None
        assert task.attempt == attempt
        if attempt <= self.failures:
            raise self.kind(f"attempt {attempt}")
        return item


@pytest.mark.parametrize("chunk_size", [None, 1, 7])
def test_items_are_tried_until_they_succeed(chunk_size: int | None) -> None:
    task = Flaky(2)
    results = parallel.thread_map(task, range(50), chunk_size=chunk_size, retries=2, backoff=0)
    assert results == list(range(50))
    assert set(task.attempts.values()) == {3}


def test_no_more_attempts_than_asked_for_and_all_are_noted() -> None:
    task = Flaky(9)
    (error,) = parallel.thread_map(task, ["a"], retries=2, backoff=0)
    assert isinstance(error, OSError)
    assert task.attempts == {"a": 3}
    assert error.__notes__ == [
        "item 0 ('a'), attempt 3\n"
        "  attempt 1 failed: OSError: attempt 1\n"
        "  attempt 2 failed: OSError: attempt 2"
    ]


def test_of_many_attempts_the_first_and_the_last_are_noted() -> None:
    (error,) = parallel.thread_map(Flaky(99), ["a"], retries=20, backoff=0)
    assert isinstance(error, OSError)
    (note,) = error.__notes__
    assert note.splitlines() == [
        "item 0 ('a'), attempt 21",
        *(f"  attempt {n} failed: OSError: attempt {n}" for n in (1, 2, 3)),
        "  attempts 4 to 17 failed too",
        *(f"  attempt {n} failed: OSError: attempt {n}" for n in (18, 19, 20)),
    ]


def test_an_exception_that_is_raised_again_and_again_gets_few_notes() -> None:
    shared = OSError("shared")

    def task(_: int) -> None:
        raise shared

    parallel.thread_map(task, range(20), retries=3, backoff=0)
    assert len(shared.__notes__) == 6


def test_workers_stay_while_items_wait_for_them() -> None:
    """They may have been dear to make."""
    meet = threading.Barrier(4, timeout=30)
    made: list[int] = []

    def task(item: int, state: object) -> int:
        current = parallel.current_task()
        assert current is not None
        if current.attempt == 1:
            meet.wait()
        if current.attempt <= 3:
            raise OSError
        return item

    results = parallel.thread_map(
        task,
        range(4),
        max_workers=4,
        worker_state=lambda: made.append(1),
        retries=3,
        backoff=lambda attempt, error: 0.05,
    )
    assert results == [0, 1, 2, 3]
    assert len(made) == 4


@pytest.mark.parametrize("retry_on", [OSError, (KeyError, OSError), lambda e: "1" in str(e)])
def test_only_what_is_worth_it_is_retried(retry_on: Any) -> None:
    assert parallel.thread_map(Flaky(1), "ab", retry_on=retry_on, retries=1, backoff=0) == [
        "a",
        "b",
    ]
    other = Flaky(1, ValueError)
    results = parallel.thread_map(other, "a", retry_on=KeyError, retries=1, backoff=0)
    assert isinstance(results[0], ValueError)
    assert other.attempts == {"a": 1}


def test_an_exit_is_never_retried() -> None:
    def task(_: int) -> None:
        raise SystemExit(4)

    with pytest.raises(SystemExit):
        parallel.thread_map(task, [1], retries=5, retry_on=BaseException)


def test_timeouts_are_per_attempt_and_are_retried() -> None:
    release = threading.Event()
    attempts: list[int] = []

    def task(item: int) -> int:
        attempts.append(item)
        if len(attempts) < 3:
            release.wait(60)
        return item

    try:
        assert parallel.thread_map(task, [7], timeout=0.3, retries=2, backoff=0) == [7]
    finally:
        release.set()
    assert attempts == [7, 7, 7]


def test_a_waiting_retry_occupies_no_worker() -> None:
    done: list[int] = []

    def task(item: int) -> int:
        if item == 0 and len(done) < 20:  # can succeed only if the others run meanwhile
            raise OSError
        done.append(item)
        return item

    results = parallel.thread_map(
        task, range(21), max_workers=1, retries=1000, backoff=lambda attempt, error: 0.002
    )
    assert results == list(range(21))
    assert done[-1] == 0


def test_the_first_failure_is_raised_only_when_its_attempts_are_used_up() -> None:
    task = Flaky(1)
    assert parallel.thread_map(task, "abc", retries=1, backoff=0, on_error="raise") == list("abc")
    with pytest.raises(OSError, match="attempt 2"):
        parallel.thread_map(Flaky(5), "abc", retries=1, backoff=0, on_error="raise")


def test_retries_do_not_count_as_failures() -> None:
    assert parallel.thread_map(Flaky(1), "abc", retries=1, backoff=0, max_failures=0) == list("abc")


def test_outcomes_tell_the_attempts() -> None:
    outcomes = list(parallel.outcomes(Flaky(1), "ab", retries=1, backoff=0))
    assert [(outcome.value, outcome.attempts) for outcome in outcomes] == [("a", 2), ("b", 2)]


def test_what_waits_when_the_map_is_stopped_is_cancelled() -> None:
    error: object
    (error,) = parallel.thread_map(
        Flaky(9), "a", retries=5, backoff=lambda attempt, error: 60, deadline=1
    )
    assert isinstance(error, parallel.TaskCancelledError)
    assert error.started


def test_a_stream_reads_on_while_retries_wait() -> None:
    """They count for the buffer, but they are not work that is under way."""
    served = 0

    def numbers() -> Iterator[int]:
        nonlocal served
        while served < 200:
            served += 1
            yield served - 1

    def task(item: int) -> int:
        if item < 100 and served < 200:
            raise OSError
        return item

    results = parallel.imap(
        task, numbers(), max_workers=1, chunk_size=1, retries=10_000, backoff=0.002
    )
    assert list(results) == list(range(200))


@pytest.mark.parametrize(
    ("backoff", "message"),
    [(lambda attempt, error: -1, "returned -1"), (lambda attempt, error: "soon", "'soon'")],
)
def test_a_faulty_backoff_function_is_told(backoff: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parallel.thread_map(Flaky(1), "a", retries=1, backoff=backoff)
    with pytest.raises(ValueError, match=message):
        list(parallel.imap(Flaky(1), "a", retries=1, backoff=backoff))


class TestDelays:
    def retries(self, workers: Any = 1, **options: Any) -> tuple[Retries, list[float]]:
        most: list[float] = []

        def uniform(low: float, high: float) -> float:
            assert low == 0
            most.append(high)
            return high

        call = make_call("test", abs, choose_workers("test", workers), {"retries": 5000, **options})
        return Retries(call, uniform), most

    def test_they_double_up_to_a_minute(self) -> None:
        retries, most = self.retries(backoff=1)
        for attempt in [*range(1, 9), 4000]:
            assert retries.again(Chunk([0], 0, 0, 1, attempt), 0, OSError(), 0.0)
        assert most == [1, 2, 4, 8, 16, 32, 60, 60, 60]

    @pytest.mark.parametrize(("workers", "first"), [(8, 1), ("auto", 0.1)])
    def test_they_are_longer_after_refusals_that_fewer_calls_do_not_help(
        self, workers: Any, first: float
    ) -> None:
        retries, most = self.retries(workers)
        for throttled in range(4):
            chunk = Chunk([0], 0, 0, 1, throttled + 1, (), throttled)
            retries.after_refusal(chunk, 0, OSError(), 0.0, None)
        assert most == [first, 2, 4, 8]

    def test_a_function_decides(self) -> None:
        calls: list[tuple[int, str]] = []

        def backoff(attempt: int, error: BaseException) -> float:
            calls.append((attempt, str(error)))
            return 7.5

        retries, _ = self.retries(backoff=backoff)
        assert retries.again(Chunk([0], 0, 0, 1, 2), 0, OSError("full"), 100.0)
        assert retries.next_due == 107.5
        assert calls == [(2, "full")]
        assert retries.take_due(107.4) == []
        assert [chunk.attempt for chunk in retries.take_due(107.5)] == [3]
        assert not retries

    def test_any_kind_of_number_will_do(self) -> None:
        class Seconds:  # as NumPy has them, which are no floats
            def __float__(self) -> float:
                return 7.5

        for delay in (Seconds(), Fraction(15, 2), 7.5):
            retries, _ = self.retries(backoff=lambda attempt, error, delay=delay: delay)
            assert retries.again(Chunk([0], 0, 0, 1), 0, OSError(), 0.0)
            assert retries.next_due == 7.5

    @given(delays=st.lists(st.sampled_from([0.0, 1.0, 2.0])))
    def test_they_come_in_the_order_of_their_time_and_leave_nothing(
        self, delays: list[float]
    ) -> None:
        retries, _ = self.retries(backoff=lambda attempt, error: delays[error.args[0]])
        for index in range(len(delays)):
            chunk = Chunk([{index: index}] * len(delays), 0, index, index + 1)
            assert retries.again(chunk, index, OSError(index), 0.0)
        due = retries.take_due(2.0)
        expected = sorted(range(len(delays)), key=lambda index: (delays[index], index))
        assert [chunk.start for chunk in due] == expected
        assert [chunk.past for chunk in due] == [((1, f"OSError: {i}"),) for i in expected]
        kept = [value for value in vars(retries).values() if isinstance(value, (list, dict))]
        assert not any(kept)

    def test_random_delays_spread(self) -> None:
        call = make_call("test", abs, choose_workers("test", 1), {"retries": 1, "backoff": 1})
        retries = Retries(call)
        for index in range(200):
            retries.again(Chunk(range(200), 0, index, index + 1), index, OSError(), 0.0)  # type: ignore[arg-type]
        assert len(retries.take_due(0.5)) in range(50, 150)
        assert len(retries.take_due(1.0)) in range(50, 150)


def test_retry_on_may_ask_the_error() -> None:
    """As for a server that says when to come again."""

    class BusyError(Exception):
        def __init__(self, retry_after: float) -> None:
            super().__init__(f"again in {retry_after} s")
            self.retry_after = retry_after

    begins: list[float] = []

    def task(_: object) -> str:
        begins.append(time.monotonic())
        if len(begins) == 1:
            raise BusyError(0.2)
        return "done"

    def backoff(attempt: int, error: BaseException) -> float:
        assert isinstance(error, BusyError)
        return error.retry_after

    assert parallel.thread_map(task, [0], retries=1, retry_on=BusyError, backoff=backoff) == [
        "done"
    ]
    assert begins[1] - begins[0] >= 0.2
