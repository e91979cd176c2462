"""`imap` and `outcomes`: lazily read, in order or not, and stopped whenever nobody wants more."""

from __future__ import annotations

import collections
import contextvars
import gc
import itertools
import pickle
import threading
import time
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metainformant.core import parallel
from metainformant.core.parallel.runner import stream_map as streaming

from .support import wait_for_other_threads


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
    assert set(threading.enumerate()) - before
    if how == "close":
        stream.close()
    del stream
    wait_for_other_threads(before)


class TestClosing:
    def test_another_thread_may_do_it_while_the_consumer_waits(self) -> None:
        started, release = threading.Event(), threading.Event()
        ends: list[BaseException] = []

        def task(_: int) -> None:
            started.set()
            release.wait(60)

        def consume() -> None:
            try:
                list(stream)
            except BaseException as error:
                ends.append(error)

        stream = parallel.imap(task, [1, 2])
        consumer = threading.Thread(target=consume)
        consumer.start()
        assert started.wait(30)
        stream.close()
        consumer.join(30)
        release.set()
        (error,) = ends
        assert isinstance(error, parallel.ParallelError)
        assert "the stream was closed" in str(error)

    def test_another_thread_may_do_it_while_the_consumer_is_busy(self) -> None:
        stream = parallel.imap(abs, itertools.count())
        assert next(stream) == 0
        closer = threading.Thread(target=stream.close)
        closer.start()
        closer.join(30)
        with pytest.raises(parallel.ParallelError, match="the stream was closed"):
            collections.deque(stream, maxlen=0)
        assert list(stream) == []

    def test_a_callback_may_do_it(self) -> None:
        streams: list[parallel.Results[Any]] = []
        stream = parallel.imap(
            abs, itertools.count(), on_complete=lambda *_: streams[0].close(), max_workers=1
        )
        streams.append(stream)
        with pytest.raises(parallel.ParallelError, match="the stream was closed"):
            collections.deque(stream, maxlen=0)

    def test_it_may_come_before_the_start(self) -> None:
        stream = parallel.imap(abs, itertools.count())
        stream.close()
        assert list(stream) == []

    def test_the_garbage_collector_waits_for_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """It may run in any thread, which may hold what the map needs to end."""
        monkeypatch.setattr(streaming, "_LONGEST_CLOSE", 50.0)
        entered, release = threading.Event(), threading.Event()

        def tell(_: parallel.Progress) -> None:
            entered.set()
            release.wait(60)

        stream = parallel.imap(abs, itertools.count(), progress=tell)
        consumer = threading.Thread(target=next, args=(stream,))
        consumer.start()
        assert entered.wait(30)
        release.set()
        consumer.join(30)
        entered.clear()
        release.clear()
        assert entered.wait(30)  # the driver stands still in here
        began = time.monotonic()
        del stream, consumer
        gc.collect()
        assert time.monotonic() - began < 25
        release.set()


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


class TestImap:
    def test_failures_take_the_place_of_results_as_asked(self) -> None:
        texts = ["1", "x", "3"]
        first, second, third = parallel.imap(int, texts)
        assert (first, third) == (1, 3)
        assert isinstance(second, ValueError)
        assert second.__notes__ == ["item 1 ('x'), attempt 1"]
        assert list(parallel.imap(int, texts, on_error="skip")) == [1, 3]
        stream = parallel.imap(int, texts, on_error="raise", max_workers=1)
        assert next(stream) == 1
        with pytest.raises(ValueError, match="'x'"):
            next(stream)
        with pytest.raises(StopIteration):
            next(stream)

    def test_it_is_an_iterator_and_a_context_manager(self) -> None:
        with parallel.imap(abs, itertools.count()) as stream:
            assert isinstance(stream, Iterator)
            assert next(stream) == 0
            assert list(itertools.islice(stream, 3)) == [1, 2, 3]
        assert list(stream) == []
        stream.close()
        assert list(parallel.imap(abs, [])) == []

    def test_nothing_starts_before_the_first_result_is_asked_for(self) -> None:
        before = set(threading.enumerate())
        stream = parallel.imap(abs, itertools.count())
        assert set(threading.enumerate()) <= before
        stream.close()
        assert list(stream) == []

    def test_a_blocked_input_stops_neither_timeouts_nor_results(self) -> None:
        release = threading.Event()

        def numbers() -> Iterator[int]:
            yield from range(5)
            release.wait(60)
            yield 5

        def task(number: int) -> int:
            if number == 3:
                release.wait(60)
            return number

        stream = parallel.imap(task, numbers(), max_workers=2, timeout=0.1)
        try:
            results = [next(stream) for _ in range(5)]
        finally:
            release.set()
        assert isinstance(results.pop(3), parallel.TaskTimeoutError)
        assert results == [0, 1, 2, 4]
        assert list(stream) == [5]

    def test_tasks_go_on_while_the_consumer_is_busy(self) -> None:
        done = threading.Event()

        def task(number: int) -> int:
            if number == 5:
                done.set()
            return number

        stream = parallel.imap(task, range(40), max_workers=2, chunk_size=1)
        next(stream)
        assert done.wait(30)  # without asking for more
        assert list(stream) == list(range(1, 40))

    def test_one_slow_item_does_not_idle_the_workers(self) -> None:
        """They go on far beyond their window, though nothing can be delivered meanwhile."""
        release = threading.Event()
        finished = itertools.count(1)

        def task(number: int) -> int:
            if number == 0:
                assert release.wait(60)
            elif next(finished) == 1000:
                release.set()
            return number

        stream = parallel.imap(task, itertools.count(), max_workers=2, chunk_size=1)
        assert list(itertools.islice(stream, 1100)) == list(range(1100))
        stream.close()

    @pytest.mark.parametrize("buffer_size", [1, 3, 1000])
    def test_no_more_than_the_buffer_is_read_ahead(self, buffer_size: int) -> None:
        read = 0

        def numbers() -> Iterator[int]:
            nonlocal read
            while True:
                read += 1
                yield read

        stream = parallel.imap(lambda number: number, numbers(), buffer_size=buffer_size)
        for delivered in range(5000):
            assert next(stream) == delivered + 1
            assert read <= delivered + buffer_size
        stream.close()

    def test_a_consumer_that_stops_asking_stops_the_reading(self) -> None:
        read = 0

        def numbers() -> Iterator[int]:
            nonlocal read
            while True:
                read += 1
                yield read

        stream = parallel.imap(abs, numbers(), buffer_size=100)
        next(stream)
        until = time.monotonic() + 0.3
        while time.monotonic() < until:
            assert read <= 100
            time.sleep(0.01)
        stream.close()

    def test_references_are_dropped_after_delivery(self) -> None:
        class Big:
            pass

        items: list[weakref.ref[Big]] = []
        results: list[weakref.ref[Big]] = []

        def numbers() -> Iterator[Big]:
            while True:
                big = Big()
                items.append(weakref.ref(big))
                yield big
                del big

        def task(item: Big) -> Big:
            result = Big()
            results.append(weakref.ref(result))
            return result

        stream = parallel.imap(task, numbers(), max_workers=1, chunk_size=1, buffer_size=4)
        for _ in range(50):
            next(stream)
        gc.collect()
        assert sum(ref() is not None for ref in results) <= 6
        assert sum(ref() is not None for ref in items) <= 6
        stream.close()

    def test_a_reader_that_blocks_keeps_nobody_from_leaving(self) -> None:
        release = threading.Event()

        def numbers() -> Iterator[int]:
            yield 1
            release.wait(60)

        stream = parallel.imap(abs, numbers())
        assert next(stream) == 1
        stream.close()
        assert not release.is_set()
        release.set()

    def test_an_exit_raised_by_the_input_reaches_the_consumer(self) -> None:
        def numbers() -> Iterator[int]:
            yield 1
            raise KeyboardInterrupt

        stream = parallel.imap(abs, numbers())
        assert next(stream) == 1
        with pytest.raises(KeyboardInterrupt):
            next(stream)

    def test_a_deadline_counts_from_the_first_result_asked_for(self) -> None:
        stream = parallel.imap(abs, itertools.count(), deadline=0.2)
        time.sleep(0.3)  # passes before the map begins
        began = time.monotonic()
        with pytest.raises(parallel.TaskCancelledError, match=r"deadline=0\.2 s"):
            collections.deque(stream, maxlen=0)
        assert time.monotonic() - began >= 0.2

    def test_progress_counts_from_the_first_result_asked_for_too(self) -> None:
        too_much: list[float] = []
        began = float("nan")

        def tell(progress: parallel.Progress) -> None:
            too_much.append(progress.elapsed - (time.monotonic() - began))

        stream = parallel.imap(abs, [1, 2], progress=tell)
        time.sleep(0.1)  # passes before the map begins
        began = time.monotonic()
        assert list(stream) == [1, 2]
        assert max(too_much) <= 0

    def test_too_many_failures_end_an_incomplete_stream(self) -> None:
        stream = parallel.imap(int, itertools.repeat("x"), max_failures=10)
        with pytest.raises(parallel.TooManyFailuresError):
            collections.deque(stream, maxlen=0)

    def test_streams_nest(self) -> None:
        def inner(number: int) -> int:
            return sum(parallel.imap(abs, range(number), on_error="raise"))

        assert list(parallel.imap(inner, range(20))) == [sum(range(n)) for n in range(20)]

    def test_tasks_and_reader_see_the_callers_context(self) -> None:
        variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")

        def names() -> Iterator[str]:
            yield variable.get()

        variable.set("here")
        stream = parallel.imap(lambda name: (name, variable.get()), names())
        variable.set("there")
        assert list(stream) == [("here", "here")]


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


class TestOnComplete:
    def test_it_is_called_here_for_every_success_in_order_of_completion(self) -> None:
        release = threading.Event()
        calls: list[tuple[int, str, int]] = []

        def task(text: str) -> int:
            if text == "1":
                assert release.wait(30)
            return int(text)

        def tell(index: int, item: str, result: int) -> None:
            assert threading.current_thread() is threading.main_thread()
            calls.append((index, item, result))
            if len(calls) == 2:
                release.set()

        texts = ["1", "x", "3", "4"]
        results = parallel.thread_map(task, texts, 2, on_complete=tell)
        assert [results[0], *results[2:]] == [1, 3, 4]
        assert sorted(calls) == [(0, "1", 1), (2, "3", 3), (3, "4", 4)]
        assert calls[-1] == (0, "1", 1)
        release.clear()
        calls.clear()
        assert len(list(parallel.imap(task, texts, max_workers=2, on_complete=tell))) == 4
        assert sorted(calls) == [(0, "1", 1), (2, "3", 3), (3, "4", 4)]

    def test_it_gets_whole_batches(self) -> None:
        calls: list[tuple[int, list[int], list[int]]] = []
        parallel.parallel_batch(
            sorted, [3, 1, 2], batch_size=2, on_complete=lambda *call: calls.append(call)
        )
        assert sorted(calls) == [(0, [3, 1], [1, 3]), (1, [2], [2])]

    @pytest.mark.parametrize("how", ["list", "stream"])
    def test_the_map_stops_if_it_raises(self, how: str) -> None:
        def tell(index: int, item: int, result: int) -> None:
            raise OSError("disk full")

        started: list[int] = []

        def task(item: int) -> int:
            started.append(item)
            time.sleep(0.01)
            return item

        run: Any = (
            parallel.thread_map
            if how == "list"
            else lambda *a, **options: list(parallel.imap(*a, **options))
        )
        with pytest.raises(OSError, match="disk full"):
            run(task, range(1000), on_complete=tell)
        assert len(started) < 500


@settings(max_examples=60, deadline=None)
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
