"""What every map of the package promises, with real threads."""

from __future__ import annotations

import contextvars
import gc
import itertools
import threading
import time
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from metainformant.core import parallel
from metainformant.core.parallel.host.gil import HAS_GIL
from tests.runner.tasks import double, fail_on_odd


class TestOrder:
    def test_unordered_is_the_order_of_completion(self) -> None:
        gates = [threading.Event() for _ in range(4)]
        order = [2, 0, 3, 1]
        follower = dict(itertools.pairwise(order))
        gates[order[0]].set()

        def task(number: int) -> int:
            assert gates[number].wait(30)
            return number

        def tell(index: int, _item: int, _result: int) -> None:
            if index in follower:
                gates[follower[index]].set()

        results = parallel.thread_map_unordered(task, range(4), max_workers=4, on_complete=tell)
        assert results == order

    def test_completion_order_is_seen_inside_chunks(self) -> None:
        """Fast items of a chunk that a slow one holds up come before it."""
        others = threading.Semaphore(0)  # released for each that is delivered

        def task(number: int) -> int:
            if number == 3:
                assert all(others.acquire(timeout=30) for _ in range(9))
            return number

        results = parallel.thread_map(
            task,
            range(10),
            max_workers=2,
            chunk_size=5,
            ordered=False,
            on_error="raise",
            on_complete=lambda *_: others.release(),
        )
        assert sorted(results) == list(range(10))
        assert results[-1] == 3

    def test_unordered_gives_every_result_once(self) -> None:
        results = parallel.thread_map_unordered(double, range(1000), on_error="raise")
        assert sorted(results) == [2 * number for number in range(1000)]


class TestInput:
    def test_an_input_that_fails_is_raised_before_anything_starts(self) -> None:
        started: list[int] = []

        def broken() -> Iterator[int]:
            yield 1
            raise OSError("disk gone")

        with pytest.raises(OSError, match="disk gone"):
            parallel.thread_map(started.append, broken())
        assert started == []

    def test_workers_are_no_more_than_items(self) -> None:
        names = parallel.thread_map(
            lambda _: threading.current_thread().name, range(2), max_workers=50
        )
        assert set(names) <= {"thread_map-1", "thread_map-2"}


class TestBalance:
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
    def test_a_deadline_that_is_kept_changes_nothing(self) -> None:
        assert parallel.thread_map(double, range(3), deadline=60) == [0, 2, 4]

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


def test_time_is_not_wasted_on_waiting() -> None:
    """A map of sleeps takes about as long as its longest sleep, far from their sum."""
    started = time.monotonic()
    parallel.thread_map(time.sleep, [0.1] * 40, max_workers=40)
    assert time.monotonic() - started < 2
