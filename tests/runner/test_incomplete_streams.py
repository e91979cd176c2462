"""A stream that is incomplete raises, however far its input was read."""

from __future__ import annotations

import collections
import itertools
import pickle
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from metainformant.core import parallel
from tests.support import wait_for_other_threads, wait_until


def test_what_was_read_before_the_input_failed_is_delivered() -> None:
    def broken() -> Iterator[int]:
        yield from range(5)
        raise OSError("disk gone")

    stream = parallel.outcomes(abs, broken())
    assert [next(stream).value for _ in range(5)] == list(range(5))
    with pytest.raises(OSError, match="disk gone"):
        next(stream)


def test_an_incomplete_stream_raises() -> None:
    cancel = threading.Event()

    def task(number: int) -> int:
        if number == 5:
            cancel.set()
        return number

    stream = parallel.outcomes(task, itertools.count(), max_workers=2, cancel=cancel)
    with pytest.raises(parallel.TaskCancelledError, match="cancel was set"):
        collections.deque(stream, maxlen=0)


@pytest.mark.parametrize("on_error", ["return", "skip", "raise"])
def test_a_stream_that_was_stopped_raises_though_all_was_read(on_error: Any) -> None:
    cancel, release = threading.Event(), threading.Event()

    def task(number: int) -> int:
        if number == 1:
            cancel.set()
            release.wait(60)
        return number

    stream = parallel.imap(
        task, [0, 1, 2], max_workers=1, chunk_size=1, cancel=cancel, on_error=on_error
    )
    results: list[Any] = []
    try:
        with pytest.raises(parallel.TaskCancelledError, match=r"item 1 \(1\) was still running"):
            results.extend(stream)  # keeps what came before the error
    finally:
        release.set()
    assert results[0] == 0
    cancelled = [type(result) for result in results[1:]]
    assert cancelled == ([] if on_error == "skip" else [parallel.TaskCancelledError] * 2)


def test_an_input_that_may_go_on_is_incomplete() -> None:
    """Though all that was read is finished and delivered."""
    cancel, release = threading.Event(), threading.Event()

    def numbers() -> Iterator[int]:
        yield 0
        release.wait(60)

    stream = parallel.imap(abs, numbers(), cancel=cancel)
    try:
        assert next(stream) == 0
        cancel.set()
        with pytest.raises(parallel.TaskCancelledError, match=r"item 1 \(not read\)"):
            next(stream)
    finally:
        release.set()


@pytest.mark.parametrize("on_error", ["return", "skip"])
def test_too_many_failures_raise_also_at_the_very_end(on_error: Any) -> None:
    for _ in range(20):
        stream = parallel.imap(int, ["x"] * 5, max_failures=4, on_error=on_error)
        with pytest.raises(parallel.TooManyFailuresError):
            collections.deque(stream, maxlen=0)


def test_nothing_is_read_after_a_stop() -> None:
    before = set(threading.enumerate())
    cancel = threading.Event()
    asked = itertools.count()
    proceed = threading.Semaphore(1)

    def numbers() -> Iterator[int]:
        while True:
            proceed.acquire(timeout=60)
            yield next(asked)

    def task(number: int) -> int:
        cancel.set()
        return number

    stream = parallel.imap(task, numbers(), cancel=cancel)
    with pytest.raises(parallel.TaskCancelledError):
        collections.deque(stream, maxlen=0)
    proceed.release(1000)
    wait_for_other_threads(before)
    assert next(asked) <= 3  # one, and two in the step that was on


class TestCancelledItems:
    """What an `Outcome` tells of an item that was not finished when its map was stopped."""

    def outcomes(self, task: Any, **options: Any) -> list[parallel.Outcome[Any, Any]]:
        outcomes: list[parallel.Outcome[Any, Any]] = []
        with pytest.raises(parallel.TaskCancelledError):
            outcomes.extend(parallel.outcomes(task, [0, 1], max_workers=1, chunk_size=1, **options))
        return outcomes

    def test_one_that_was_running_and_one_that_was_not(self) -> None:
        cancel, release = threading.Event(), threading.Event()

        def task(_: int) -> None:
            wait_until(lambda: not any("reader" in each.name for each in threading.enumerate()))
            cancel.set()
            release.wait(60)

        before = time.time()
        try:
            running, waiting = self.outcomes(task, cancel=cancel)
        finally:
            release.set()
        assert "was still running" in str(running.error)
        assert running.attempts == 1
        assert running.started is not None
        assert before - 0.01 <= running.started
        assert running.seconds is not None
        assert running.started + running.seconds <= time.time() + 0.01
        assert running.worker == "outcomes-1"
        assert "had not started" in str(waiting.error)
        assert (waiting.attempts, waiting.started, waiting.seconds, waiting.worker) == (
            0,
            None,
            None,
            "",
        )

    def test_one_that_waited_for_another_attempt(self) -> None:
        cancel = threading.Event()

        def task(number: int) -> None:
            if number == 1:
                cancel.set()
            raise OSError("busy")

        def far(attempt: int, error: BaseException) -> float:
            return 60

        for outcome in self.outcomes(task, cancel=cancel, retries=3, backoff=far):
            error = outcome.error
            assert isinstance(error, parallel.TaskCancelledError)
            assert error.waiting
            assert "was waiting for another attempt when the map was stopped" in str(error)
            assert error.__notes__ == [
                f"item {outcome.index} ({outcome.index}), attempt 1\n"
                "  attempt 1 failed: OSError: busy"
            ]
            assert outcome.attempts == 1
            copy = pickle.loads(pickle.dumps(error))
            assert (copy.waiting, str(copy)) == (True, str(error))


def test_an_exit_in_a_task_stops_the_stream() -> None:
    def task(number: int) -> None:
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        list(parallel.outcomes(task, range(5)))
