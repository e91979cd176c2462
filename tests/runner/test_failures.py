"""A failure is the value of its slot, whatever was raised."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

import pytest

from metainformant.core import parallel
from metainformant.core.parallel.host.gil import HAS_GIL
from tests.runner.tasks import double, fail_on_odd


class TestFailures:
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
