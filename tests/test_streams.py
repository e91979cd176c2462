"""`outcomes`: lazily read, in order or not, and stopped whenever nobody wants more."""

from __future__ import annotations

import collections
import itertools
import pickle
import threading
import time
from collections.abc import Iterator

import pytest

from metainformant.core import parallel


def test_outcomes_come_in_order_with_items_values_and_errors() -> None:
    outcomes = list(parallel.outcomes(int, ["1", "x", "3"]))
    assert [outcome.index for outcome in outcomes] == [0, 1, 2]
    assert [outcome.item for outcome in outcomes] == ["1", "x", "3"]
    assert [outcome.ok for outcome in outcomes] == [True, False, True]
    assert outcomes[0].unwrap() == 1
    with pytest.raises(ValueError, match="invalid literal"):
        outcomes[1].unwrap()


def test_an_endless_input_is_read_no_further_than_the_buffer() -> None:
    read = 0

    def numbers() -> Iterator[int]:
        nonlocal read
        while True:
            read += 1
            yield read

    stream = parallel.outcomes(lambda number: -number, numbers(), buffer_size=50)
    for delivered, outcome in enumerate(stream, 1):
        assert outcome.value == -delivered
        assert read <= delivered - 1 + 50
        if delivered == 2000:
            break
    stream.close()


def test_unordered_outcomes_do_not_wait_for_a_slow_item() -> None:
    release = threading.Event()

    def task(number: int) -> int:
        if number == 0:
            assert release.wait(30)
        return number

    stream = parallel.outcomes(task, range(50), max_workers=2, ordered=False)
    first = [next(stream).index for _ in range(49)]
    release.set()
    assert sorted(first) == list(range(1, 50))
    assert [outcome.index for outcome in stream] == [0]


def test_what_was_read_before_the_input_failed_is_delivered() -> None:
    def broken() -> Iterator[int]:
        yield from range(5)
        raise OSError("disk gone")

    stream = parallel.outcomes(abs, broken())
    assert [next(stream).value for _ in range(5)] == list(range(5))
    with pytest.raises(OSError, match="disk gone"):
        next(stream)


@pytest.mark.parametrize("how", ["close", "forget"])
def test_a_stream_that_is_left_ends_its_threads(how: str) -> None:
    before = set(threading.enumerate())
    stream = parallel.outcomes(abs, itertools.count())
    next(stream)
    started = set(threading.enumerate()) - before
    assert started
    if how == "close":
        stream.close()
    del stream
    for thread in started:
        thread.join(30)
        assert not thread.is_alive()


def test_timeouts_hold_in_streams() -> None:
    release = threading.Event()
    try:
        outcomes = list(
            parallel.outcomes(
                lambda number: release.wait(60) if number == 1 else number,
                range(4),
                max_workers=1,
                timeout=0.05,
            )
        )
    finally:
        release.set()
    assert [outcome.value for outcome in outcomes] == [0, None, 2, 3]
    assert isinstance(outcomes[1].error, parallel.TaskTimeoutError)


def test_an_incomplete_stream_raises() -> None:
    cancel = threading.Event()

    def task(number: int) -> int:
        if number == 5:
            cancel.set()
        return number

    stream = parallel.outcomes(task, itertools.count(), max_workers=2, cancel=cancel)
    with pytest.raises(parallel.TaskCancelledError, match="cancel was set"):
        collections.deque(stream, maxlen=0)


def test_an_exit_in_a_task_stops_the_stream() -> None:
    def task(number: int) -> None:
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        list(parallel.outcomes(task, range(5)))


def test_an_outcome_is_a_plain_record() -> None:
    outcome = parallel.Outcome(3, "ATG", 1.5, None)
    assert pickle.loads(pickle.dumps(outcome)) == outcome
    with pytest.raises(AttributeError):
        outcome.value = 2.0  # type: ignore[misc]


def test_a_slow_input_delays_no_result_that_is_there() -> None:
    """A result is yielded before the input is asked for many more items."""
    read = 0

    def slow() -> Iterator[int]:
        nonlocal read
        for read in range(1, 30):
            time.sleep(0.02)
            yield read

    stream = parallel.outcomes(abs, slow(), max_workers=8)
    ahead = [read - outcome.item for outcome in stream]
    assert len(ahead) == 29
    assert max(ahead[2:]) <= 4


def test_a_slow_consumer_makes_no_timeout_early() -> None:
    ended_at: dict[int, float] = {}

    def task(number: int) -> int:
        time.sleep(0.3 if number else 0.05)
        ended_at[number] = time.monotonic()
        return number

    stream = parallel.outcomes(
        task, range(4), max_workers=2, chunk_size=2, ordered=False, timeout=0.45
    )
    for outcome in stream:
        assert outcome.ok, outcome.error
        if outcome.index == 0:
            time.sleep(0.5)
