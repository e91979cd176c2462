"""What every map of the package promises, with real threads."""

from __future__ import annotations

import contextvars
import gc
import itertools
import threading
import time
import traceback
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from metainformant.core import parallel
from metainformant.core.parallel.host.gil import HAS_GIL


def double(number: int) -> int:
    return 2 * number


def fail_on_odd(number: int) -> int:
    if number % 2:
        raise ValueError(f"odd: {number}")
    return number


class TestOrder:
    @pytest.mark.parametrize("count", [0, 1, 2, 7, 8, 9, 100, 10_000])
    @pytest.mark.parametrize("chunk_size", [None, 1, 3, 1000])
    def test_results_are_in_input_order(self, count: int, chunk_size: int | None) -> None:
        results = parallel.thread_map(double, range(count), chunk_size=chunk_size)
        assert results == [2 * number for number in range(count)]

    def test_input_order_holds_when_the_first_item_is_the_last_to_finish(self) -> None:
        others_done = threading.Event()
        finished = itertools.count(1)

        def task(number: int) -> int:
            if number == 0:
                assert others_done.wait(30)
            elif next(finished) == 19:
                others_done.set()
            return number

        assert parallel.thread_map(task, range(20), max_workers=4) == list(range(20))

    def test_unordered_is_the_order_of_completion(self) -> None:
        gates = [threading.Event() for _ in range(4)]
        order = [2, 0, 3, 1]
        follower = dict(itertools.pairwise(order))
        gates[order[0]].set()

        def task(number: int) -> int:
            assert gates[number].wait(30)
            if number in follower:
                # Far apart enough for the map to see the order.
                threading.Timer(0.05, gates[follower[number]].set).start()
            return number

        assert parallel.thread_map_unordered(task, range(4), max_workers=4) == order

    def test_single_items_come_in_order_of_completion_too(self) -> None:
        ends: dict[int, float] = {}

        def task(number: int) -> int:
            time.sleep(0.25 if number == 0 else 0.1)
            ends[number] = time.monotonic()
            return number

        order = parallel.thread_map_unordered(task, range(8), max_workers=2, on_error="raise")
        times = [ends[number] for number in order]
        assert all(later > earlier - 0.02 for earlier, later in itertools.pairwise(times))

    def test_completion_order_is_seen_inside_chunks(self) -> None:
        """Fast items of a chunk that a slow one holds up come before it."""
        hold = threading.Event()

        def task(number: int) -> int:
            if number == 3:
                assert hold.wait(30)
            if number == 9:
                threading.Timer(0.05, hold.set).start()
            return number

        results = parallel.thread_map(
            task, range(10), max_workers=2, chunk_size=5, ordered=False, on_error="raise"
        )
        assert sorted(results) == list(range(10))
        assert results[-1] == 3

    def test_unordered_gives_every_result_once(self) -> None:
        results = parallel.thread_map_unordered(double, range(1000), on_error="raise")
        assert sorted(results) == [2 * number for number in range(1000)]


class TestInput:
    @pytest.mark.parametrize(
        "items",
        [[1, 2, 3], (1, 2, 3), range(1, 4), {1: 0, 2: 0, 3: 0}, iter([1, 2, 3])],
        ids=lambda items: type(items).__name__,
    )
    def test_any_iterable(self, items: Any) -> None:
        assert parallel.thread_map(double, items) == [2, 4, 6]

    def test_an_input_that_fails_is_raised_before_anything_starts(self) -> None:
        started: list[int] = []

        def broken() -> Iterator[int]:
            yield 1
            raise OSError("disk gone")

        with pytest.raises(OSError, match="disk gone"):
            parallel.thread_map(started.append, broken())
        assert started == []

    def test_changing_the_input_list_changes_nothing(self) -> None:
        items = list(range(100))

        def task(number: int) -> int:
            items.clear()
            return number

        assert parallel.thread_map(task, items) == list(range(100))

    def test_workers_are_no_more_than_items(self) -> None:
        names = parallel.thread_map(
            lambda _: threading.current_thread().name, range(2), max_workers=50
        )
        assert set(names) <= {"thread_map-1", "thread_map-2"}


class TestFailures:
    def test_a_failure_is_the_value_of_its_slot(self) -> None:
        results = parallel.thread_map(fail_on_odd, range(5))
        assert results[0::2] == [0, 2, 4]
        for index in (1, 3):
            error = results[index]
            assert isinstance(error, ValueError)
            assert str(error) == f"odd: {index}"
            assert error.__notes__ == [f"item {index} ({index}), attempt 1"]

    def test_a_failure_keeps_the_traceback_of_the_task_alone(self) -> None:
        (error,) = parallel.thread_map(fail_on_odd, [1])
        assert isinstance(error, ValueError)
        frames = traceback.extract_tb(error.__traceback__)
        names = [frame.name for frame in frames]
        assert names[-1] == "fail_on_odd"
        if HAS_GIL:
            assert len(names) == 1

    def test_a_failure_in_a_function_of_c_has_a_traceback(self) -> None:
        (error,) = parallel.thread_map(int, ["x"])
        assert isinstance(error, ValueError)
        assert error.__traceback__ is not None

    def test_a_cause_is_kept(self) -> None:
        def task(_: int) -> None:
            try:
                raise KeyError("inner")
            except KeyError as error:
                raise ValueError("outer") from error

        (error,) = parallel.thread_map(task, [1])
        assert isinstance(error, ValueError)
        assert isinstance(error.__cause__, KeyError)

    def test_returning_an_exception_is_not_failing(self) -> None:
        value = ValueError("a value")
        assert parallel.thread_map(lambda _: value, [1], on_error="raise") == [value]
        assert not hasattr(value, "__notes__")

    def test_skip_leaves_failures_out(self) -> None:
        assert parallel.thread_map(fail_on_odd, range(6), on_error="skip") == [0, 2, 4]
        unordered = parallel.thread_map_unordered(fail_on_odd, range(6), on_error="skip")
        assert sorted(unordered) == [0, 2, 4]

    def test_raise_stops_and_raises_the_failure(self) -> None:
        started = []

        def task(number: int) -> None:
            started.append(number)
            raise ValueError("first")

        with pytest.raises(ValueError, match="first") as caught:
            parallel.thread_map(task, range(1000), max_workers=1, on_error="raise")
        assert caught.value.__notes__ == ["item 0 (0), attempt 1"]
        assert started == [0]

    def test_raise_does_not_wait_for_tasks_in_flight(self) -> None:
        release = threading.Event()
        running = threading.Event()

        def task(number: int) -> None:
            if number == 0:
                running.set()
                release.wait(30)
            else:
                assert running.wait(30)
                raise ValueError("now")

        try:
            with pytest.raises(ValueError, match="now"):
                parallel.thread_map(task, range(2), on_error="raise")
            assert not release.is_set()
        finally:
            release.set()

    def test_raise_without_failures_returns_all(self) -> None:
        assert parallel.thread_map(double, range(50), on_error="raise") == [
            2 * number for number in range(50)
        ]

    @pytest.mark.parametrize(
        "error",
        [StopIteration("stop"), GeneratorExit(), TimeoutError("mine"), MemoryError()],
        ids=lambda error: type(error).__name__,
    )
    @pytest.mark.parametrize("chunk_size", [None, 5])
    def test_odd_exceptions_are_failures_like_any_other(
        self, error: BaseException, chunk_size: int | None
    ) -> None:
        def task(number: int) -> int:
            if number == 2:
                raise error
            return number

        results = parallel.thread_map(task, range(5), chunk_size=chunk_size, timeout=60)
        assert results[2] is error
        assert [results[index] for index in (0, 1, 3, 4)] == [0, 1, 3, 4]
        assert not isinstance(error, parallel.TaskTimeoutError)

    @pytest.mark.parametrize("fatal", [KeyboardInterrupt, SystemExit])
    @pytest.mark.parametrize("on_error", ["return", "raise", "skip"])
    def test_an_exit_stops_the_map(self, fatal: type[BaseException], on_error: Any) -> None:
        started = []

        def task(number: int) -> None:
            started.append(number)
            raise fatal

        with pytest.raises(fatal):
            parallel.thread_map(task, range(100), max_workers=1, on_error=on_error)
        assert started == [0]

    def test_an_exception_that_refuses_notes(self) -> None:
        class RefusesNotesError(Exception):
            def add_note(self, note: str) -> None:
                raise RuntimeError(note)

        (error,) = parallel.thread_map(_raiser(RefusesNotesError()), [1])
        assert isinstance(error, RefusesNotesError)

    def test_an_item_that_refuses_to_be_shown(self) -> None:
        class Hidden:
            def __repr__(self) -> str:
                raise RuntimeError("no")

        (error,) = parallel.thread_map(_raiser(ValueError("x")), [Hidden()])
        assert isinstance(error, ValueError)
        assert "Hidden" in error.__notes__[0]

    def test_one_exception_object_for_all_items_gathers_few_notes(self) -> None:
        same = ValueError("same")
        results = parallel.thread_map(_raiser(same), range(100))
        assert all(result is same for result in results)
        assert len(same.__notes__) == 6
        assert "further items" in same.__notes__[-1]

    @pytest.mark.skipif(
        not HAS_GIL, reason="crashes CPython 3.13 without the GIL, also in bare threads"
    )
    def test_one_exception_object_raised_by_many_threads_at_once(self) -> None:
        same = ValueError("same")
        for _ in range(20):
            results = parallel.thread_map(_raiser(same), range(2000), 8, chunk_size=50)
            assert all(result is same for result in results)
            same.__traceback__ = None

    def test_a_long_item_is_shortened(self) -> None:
        (error,) = parallel.thread_map(_raiser(ValueError("x")), ["A" * 10_000])
        assert isinstance(error, ValueError)
        assert len(error.__notes__[0]) < 120


def _raiser(error: BaseException) -> Callable[[object], None]:
    def task(_: object) -> None:
        raise error

    return task


class TestBalance:
    @pytest.mark.parametrize("chunk_size", [None, 100])
    def test_a_slow_item_never_holds_back_its_neighbours(self, chunk_size: int | None) -> None:
        """The slow item waits for all the others: with its neighbours behind it, it never ends."""
        rest_done = threading.Semaphore(0)

        def task(number: int) -> int:
            if number == 0:
                for _ in range(99):
                    assert rest_done.acquire(timeout=30)
            else:
                rest_done.release()
            return number

        results = parallel.thread_map(task, range(100), max_workers=2, chunk_size=chunk_size)
        assert results == list(range(100))

    def test_a_given_chunk_goes_to_one_worker(self) -> None:
        names = parallel.thread_map(
            lambda _: threading.current_thread().name, range(40), max_workers=4, chunk_size=10
        )
        for start in range(0, 40, 10):
            assert len(set(names[start : start + 10])) == 1

    def test_no_item_runs_twice(self) -> None:
        runs: list[int] = []
        items = range(20_000)
        parallel.thread_map(runs.append, items, max_workers=16)
        assert sorted(runs) == list(items)

    def test_all_workers_run_at_once(self) -> None:
        barrier = threading.Barrier(8, timeout=30)
        parallel.thread_map(lambda _: barrier.wait(), range(8), on_error="raise")

    def test_maps_nest_to_any_depth(self) -> None:
        def count(depth: int) -> int:
            if depth == 0:
                return 1
            return sum(parallel.thread_map(count, [depth - 1] * 2, 2, on_error="raise"))

        assert count(5) == 32
        one_by_one = 0

        def deep(depth: int) -> int:
            return depth and parallel.thread_map(deep, [depth - 1], 1, on_error="raise")[0] + 1

        assert deep(30) == 30 + one_by_one


def settle_references() -> None:
    """Without the GIL, counts that another thread owns are settled by the collector only."""
    if not HAS_GIL:
        gc.collect()


class TestSurroundings:
    def test_tasks_see_the_callers_context(self) -> None:
        variable = contextvars.ContextVar("variable", default="unset")
        variable.set("caller")

        def task(_: int) -> str:
            seen = variable.get()
            variable.set("task")
            return seen

        assert parallel.thread_map(task, range(3), max_workers=3, chunk_size=1)[0] == "caller"
        assert variable.get() == "caller"

    def test_no_thread_outlives_a_map(self) -> None:
        before = set(threading.enumerate())
        parallel.thread_map(double, range(1000), max_workers=32)
        parallel.thread_map_unordered(fail_on_odd, range(1000), max_workers=32)
        assert set(threading.enumerate()) <= before

    def test_it_works_from_any_thread(self) -> None:
        results: list[Any] = []

        def caller() -> None:
            hang = threading.Event()
            results.extend(parallel.thread_map(lambda _: hang.wait(), [1], timeout=0.05))

        thread = threading.Thread(target=caller)
        thread.start()
        thread.join(30)
        assert isinstance(results[0], parallel.TaskTimeoutError)

    @pytest.mark.parametrize("failing", [False, True])
    @pytest.mark.parametrize("ordered", [False, True])
    def test_no_cycle_keeps_items_or_results_alive(self, failing: bool, ordered: bool) -> None:
        class Thing:
            pass

        class FailedError(Exception):
            pass

        def task(thing: Thing) -> Thing:
            if failing:
                raise FailedError
            return Thing()

        gc.disable()
        try:
            things = [Thing() for _ in range(50)]
            results = parallel.thread_map(task, things, max_workers=4, ordered=ordered)
            references = [weakref.ref(thing) for thing in [*things, *results]]
            del things, results
            settle_references()
            assert [ref() for ref in references] == [None] * 100
        finally:
            gc.enable()

    @pytest.mark.parametrize("fatal", [False, True])
    def test_no_cycle_keeps_a_raised_failure_alive(self, fatal: bool) -> None:
        class FailedError(SystemExit if fatal else ValueError):  # type: ignore[misc]
            pass

        class Thing:
            pass

        def task(_: Thing) -> None:
            raise FailedError

        gc.disable()
        try:
            things = [Thing() for _ in range(5)]
            references = [weakref.ref(thing) for thing in things]
            try:
                parallel.thread_map(task, things, max_workers=1, on_error="raise")
            except FailedError as error:
                references.append(weakref.ref(error))
            del things
            settle_references()
            assert [ref() for ref in references] == [None] * 6
        finally:
            gc.enable()


class TestDeadline:
    def test_what_is_not_finished_is_cancelled(self) -> None:
        release = threading.Event()

        def task(number: int) -> int:
            if number == 1:
                release.wait(30)
            return number

        try:
            results = parallel.thread_map(task, range(3), max_workers=1, deadline=0.3)
        finally:
            release.set()
        assert results[0] == 0
        first, second = results[1:]
        assert isinstance(first, parallel.TaskCancelledError)
        assert isinstance(second, parallel.TaskCancelledError)
        assert (first.index, first.started) == (1, True)
        assert (second.index, second.started) == (2, False)
        assert "deadline=0.3 s" in first.reason

    def test_a_deadline_that_is_kept_changes_nothing(self) -> None:
        assert parallel.thread_map(double, range(3), deadline=60) == [0, 2, 4]

    def test_a_deadline_raises_if_asked_for(self) -> None:
        hang = threading.Event()
        with pytest.raises(parallel.TaskCancelledError, match="deadline"):
            parallel.thread_map(lambda _: hang.wait(), [1], deadline=0.05, on_error="raise")

    def test_cancel_from_another_thread(self) -> None:
        cancel, hang = threading.Event(), threading.Event()

        def task(_: int) -> None:
            cancel.set()
            hang.wait(30)

        try:
            results = parallel.thread_map(task, range(20), max_workers=2, cancel=cancel)
        finally:
            hang.set()
        assert all(isinstance(result, parallel.TaskCancelledError) for result in results)
        assert "cancel was set" in str(results[0])


class TestBatch:
    def test_batches_are_lists_and_results_are_flattened(self) -> None:
        sizes = []

        def task(batch: list[int]) -> list[int]:
            assert type(batch) is list
            sizes.append(len(batch))
            return [2 * number for number in batch]

        results = parallel.parallel_batch(task, iter(range(25)), batch_size=10)
        assert results == [2 * number for number in range(25)]
        assert sorted(sizes) == [5, 10, 10]

    def test_a_failed_batch_stands_for_each_of_its_items(self) -> None:
        def task(batch: list[int]) -> list[int]:
            if 3 in batch:
                raise ValueError("three")
            return batch

        results = parallel.parallel_batch(task, range(6), batch_size=2)
        assert results[:2] == [0, 1]
        assert results[4:] == [4, 5]
        assert isinstance(results[2], ValueError)
        assert results[2] is results[3]
        assert results[2].__notes__ == ["item 1 (batch of items 2 to 3), attempt 1"]
        assert parallel.parallel_batch(task, range(6), 2, on_error="skip") == [0, 1, 4, 5]
        with pytest.raises(ValueError, match="three"):
            parallel.parallel_batch(task, range(6), 2, on_error="raise")

    def test_results_may_be_more_or_fewer_than_items(self) -> None:
        assert parallel.parallel_batch(lambda batch: [sum(batch)], range(4), 2) == [1, 5]
        assert parallel.parallel_batch(lambda _: [], range(4), 2) == []

    def test_a_generator_that_fails_fails_its_batch(self) -> None:
        def task(batch: list[int]) -> Iterator[int]:
            yield 1
            raise ValueError("late")

        results = parallel.parallel_batch(task, range(2), 2)
        assert [type(result) for result in results] == [ValueError, ValueError]

    @pytest.mark.parametrize("wrong", [None, "text", b"bytes", {"a": 1}, 7])
    def test_a_result_that_is_no_list_is_a_clear_failure(self, wrong: Any) -> None:
        results = parallel.parallel_batch(lambda _: wrong, range(3), 2)
        assert len(results) == 3
        assert all(isinstance(result, TypeError) for result in results)
        assert "must return a list" in str(results[0])

    def test_common_options(self) -> None:
        hang = threading.Event()

        def task(batch: list[int]) -> list[int]:
            if 0 in batch:
                hang.wait(30)
            return batch

        try:
            results = parallel.parallel_batch(task, range(4), 2, timeout=0.1, ordered=False)
        finally:
            hang.set()
        assert results[:2] == [2, 3]
        assert isinstance(results[2], parallel.TaskTimeoutError)
        assert "batch of items 0 to 1" in str(results[2])


def test_time_is_not_wasted_on_waiting() -> None:
    """A map of sleeps takes about as long as its longest sleep, far from their sum."""
    started = time.monotonic()
    parallel.thread_map(time.sleep, [0.1] * 40, max_workers=40)
    assert time.monotonic() - started < 2
