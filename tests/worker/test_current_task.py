"""What a task can ask about itself."""

from __future__ import annotations

import threading

from metainformant.core import parallel
from tests.support import wait_until, wait_until_ended


class TestCurrentTask:
    def test_it_knows_index_and_attempt(self) -> None:
        def task(_: str) -> tuple[int, int, float | None]:
            current = parallel.current_task()
            assert current is not None
            return current.index, current.attempt, current.seconds_left

        expected = [(index, 1, None) for index in range(1000)]
        assert parallel.thread_map(task, "x" * 1000, on_error="raise") == expected

    def test_there_is_none_outside(self) -> None:
        assert parallel.current_task() is None

    def test_nested_maps_have_their_own(self) -> None:
        def inner(_: int) -> int:
            current = parallel.current_task()
            assert current is not None
            return current.index

        def outer(_: int) -> tuple[int, list[int]]:
            indices = parallel.thread_map(inner, range(3), on_error="raise")
            return inner(0), indices

        expected = [(index, [0, 1, 2]) for index in range(4)]
        assert parallel.thread_map(outer, range(4), on_error="raise") == expected

    def test_it_knows_the_time_left(self) -> None:
        def task(_: int) -> tuple[float, float]:
            first = seconds_left()
            return first, wait_until(lambda: (left := seconds_left()) < first and left)

        def seconds_left() -> float:
            current = parallel.current_task()
            assert current is not None
            assert current.seconds_left is not None
            return current.seconds_left

        for first, later in parallel.thread_map(task, range(3), 1, timeout=60, on_error="raise"):
            assert 0 < later < first <= 60

    def test_it_learns_that_nobody_waits(self, release: threading.Event) -> None:
        seen: list[bool] = []

        def task(_: int) -> None:
            current = parallel.current_task()
            assert current is not None
            seen.append(current.cancelled())
            try:
                release.wait(60)
            finally:
                seen.append(current.cancelled())

        (error,) = parallel.thread_map(task, [0], timeout=0.05)
        release.set()
        wait_until_ended(error)
        assert seen == [False, True]
