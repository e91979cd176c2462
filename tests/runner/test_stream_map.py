"""`imap` and `outcomes`: lazily read, in order or not, and stopped whenever nobody wants more."""

from __future__ import annotations

import collections
import pickle
import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metainformant.core import parallel
from tests.support import examples


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


def test_timeouts_hold_in_streams() -> None:
    release = threading.Event()
    try:
        outcomes = list(
            parallel.outcomes(
                lambda number: release.wait(60) if number == 1 else number,
                range(4),
                max_workers=1,
                timeout=0.3,
            )
        )
    finally:
        release.set()
    assert [outcome.value for outcome in outcomes] == [0, None, 2, 3]
    assert isinstance(outcomes[1].error, parallel.TaskTimeoutError)


def test_an_outcome_is_a_plain_record() -> None:
    outcome = parallel.Outcome(3, "ATG", 1.5, None)
    assert pickle.loads(pickle.dumps(outcome)) == outcome
    with pytest.raises(AttributeError):
        outcome.value = 2.0  # type: ignore[misc]


def test_a_slow_input_delays_no_result_that_is_there() -> None:
    """A result is yielded while the input takes its time to give the next item."""
    delivered = threading.Semaphore(0)

    def slow() -> Iterator[int]:
        for number in range(30):
            yield number
            assert delivered.acquire(timeout=30)

    found = []
    for outcome in parallel.outcomes(abs, slow(), max_workers=8):
        found.append(outcome.value)
        delivered.release()
    assert found == list(range(30))


def test_a_slow_consumer_makes_no_timeout_early() -> None:
    """Two items in a row take longer than the limit of one, and nobody looks meanwhile."""
    ended = threading.Semaphore(0)

    def task(number: int) -> int:
        time.sleep(0.4 if number else 0)
        ended.release()
        return number

    stream = parallel.outcomes(
        task, range(4), max_workers=2, chunk_size=2, ordered=False, timeout=0.75
    )
    assert next(stream).index == 0
    assert all(ended.acquire(timeout=30) for _ in range(4))
    for outcome in stream:
        assert outcome.ok, outcome.error


def test_outcomes_tell_when_where_and_for_how_long() -> None:
    before = time.time()

    def task(seconds: float) -> float:
        time.sleep(seconds)
        if seconds > 0.1:
            raise ValueError
        return seconds

    outcomes = list(parallel.outcomes(task, [0.05, 0.15, 0]))
    after = time.time()
    for outcome, least in zip(outcomes, [0.05, 0.15, 0], strict=True):
        assert outcome.started is not None
        assert outcome.seconds is not None
        assert before - 0.01 <= outcome.started
        assert outcome.started + outcome.seconds <= after + 0.01
        assert outcome.seconds >= least
        assert outcome.attempts == 1
        assert outcome.worker.startswith("outcomes-")


def test_an_outcome_that_timed_out_tells_how_long_it_was_waited_for() -> None:
    release = threading.Event()
    try:
        (outcome,) = parallel.outcomes(lambda _: release.wait(60), [0], timeout=0.05)
    finally:
        release.set()
    assert outcome.seconds is not None
    assert outcome.seconds >= 0.05
    assert outcome.worker == "outcomes-1"


@examples(0.6)
@given(
    count=st.integers(0, 300),
    workers=st.integers(1, 5),
    buffer_size=st.one_of(st.none(), st.integers(1, 40)),
    chunk_size=st.one_of(st.none(), st.integers(1, 50)),
    ordered=st.booleans(),
    retries=st.integers(0, 2),
    failing=st.sets(st.integers(0, 300), max_size=10),
)
def test_streams_lose_and_reorder_nothing(
    count: int,
    workers: int,
    buffer_size: int | None,
    chunk_size: int | None,
    ordered: bool,
    retries: int,
    failing: set[int],
) -> None:
    starts: collections.Counter[int] = collections.Counter()  # the keys are never shared

    def task(number: int) -> int:
        starts[number] += 1
        if number in failing:
            raise ValueError(number)
        return -number

    outcomes = list(
        parallel.outcomes(
            task,
            iter(range(count)),
            max_workers=workers,
            buffer_size=buffer_size,
            chunk_size=chunk_size,
            ordered=ordered,
            retries=retries,
            backoff=0,
        )
    )
    indices = [outcome.index for outcome in outcomes]
    assert (indices if ordered else sorted(indices)) == list(range(count))
    for outcome in outcomes:
        assert outcome.item == outcome.index
        assert outcome.ok == (outcome.index not in failing)
        attempts = 1 if outcome.ok else retries + 1
        assert starts[outcome.index] == outcome.attempts == attempts
