"""Tasks, inputs and exceptions that are legal and odd."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator

from metainformant.core import parallel


class TestOddTasks:
    def test_an_exception_that_refuses_attributes(self) -> None:
        class FrozenError(Exception):
            def __setattr__(self, name: str, value: object) -> None:
                raise AttributeError(name)

        def task(number: int) -> int:
            if number == 1:
                raise FrozenError
            return number

        results = parallel.thread_map(task, range(3))
        assert [type(result) for result in results] == [int, FrozenError, int]

    def test_legal_but_enormous_limits(self) -> None:
        assert parallel.thread_map(abs, [-1], timeout=1e300, deadline=1e300) == [1]

    def test_the_input_is_iterated_over_once(self) -> None:
        class Once:
            iterations = 0

            def __iter__(self) -> Iterator[int]:
                Once.iterations += 1
                return iter(range(3))

        assert parallel.thread_map(abs, Once()) == [0, 1, 2]
        assert Once.iterations == 1

    def test_exceptions_that_cannot_be_shown(self) -> None:
        class HiddenError(Exception):
            __slots__ = ()

            def __str__(self) -> str:
                raise RuntimeError("no")

            __repr__ = __str__

        def task(_: int) -> None:
            raise HiddenError

        results = parallel.thread_map(task, range(3), max_failures=5)
        assert [type(result) for result in results] == [HiddenError] * 3

    def test_tasks_may_start_threads_and_drop_the_input(self) -> None:
        items: list[int] | None = list(range(50))

        def task(number: int) -> int:
            nonlocal items
            items = None
            thread = threading.Thread(target=gc.collect)
            thread.start()
            thread.join()
            return number

        assert parallel.thread_map(task, items or [], 4) == list(range(50))

    def test_ten_levels_deep(self) -> None:
        def deep(level: int) -> int:
            if level == 0:
                return 0
            return 1 + sum(parallel.thread_map(deep, [level - 1], on_error="raise"))

        assert parallel.thread_map(deep, [10] * 4) == [10] * 4
