"""Failures that are values let go of what their tasks had in hand."""

from __future__ import annotations

import traceback
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from metainformant.core import parallel
from metainformant.core.parallel.host.gil import HAS_GIL
from metainformant.core.parallel.worker.frames import clear_locals

pytestmark = pytest.mark.skipif(not HAS_GIL, reason="without the GIL tracebacks are left alone")


class Large:
    """What a failed task holds."""


def failing(seen: list[Any]) -> Any:
    def inner(large: Large) -> None:
        try:
            raise KeyError("first")
        except KeyError as error:
            raise ValueError("second") from error

    def task(number: int) -> int:
        large = Large()
        seen.append(weakref.ref(large))
        inner(large)
        return number

    return task


def streamed(task: Any, items: Any, **options: Any) -> list[Any]:
    return list(parallel.imap(task, items, **options))


maps = pytest.mark.parametrize("run", [parallel.thread_map, streamed])


@maps
def test_by_default_only_the_lines_are_kept(run: Any) -> None:
    seen: list[Any] = []
    errors = run(failing(seen), range(3))
    assert [ref() for ref in seen] == [None] * 3
    text = "".join(traceback.format_exception(errors[0]))
    assert "inner(large)" in text
    assert 'raise ValueError("second") from error' in text
    assert 'raise KeyError("first")' in text


@maps
def test_a_debugger_may_have_them(run: Any) -> None:
    seen: list[Any] = []
    errors = run(failing(seen), [1], keep_locals=True)
    assert isinstance(errors[0].__traceback__.tb_frame.f_locals["large"], Large)


def test_a_failure_that_is_raised_keeps_them() -> None:
    seen: list[Any] = []
    with pytest.raises(ValueError, match="second") as caught:
        parallel.thread_map(failing(seen), [1], on_error="raise")
    assert seen[0]() is not None
    del caught


def test_keep_locals_is_a_flag() -> None:
    with pytest.raises(TypeError, match="keep_locals='yes' must be True or False"):
        parallel.thread_map(abs, [1], keep_locals="yes")  # type: ignore[call-overload]


def test_groups_and_circles_are_followed() -> None:
    seen: list[Any] = []
    task = failing(seen)
    try:
        task(1)
    except ValueError as error:
        part = error
    group = ExceptionGroup("several", [part])
    part.__context__ = group  # a circle
    clear_locals(group)
    assert seen[0]() is None


def test_what_still_runs_is_left_alone() -> None:
    closed: list[bool] = []

    def generator() -> Iterator[BaseException]:
        kept = None
        try:
            try:
                raise ValueError
            except ValueError as error:
                kept = error
            yield kept
            yield kept
        finally:
            closed.append(True)

    iterator = generator()
    error = next(iterator)
    clear_locals(error)
    assert not closed
    assert next(iterator) is error
    here = "a variable of a running function"
    try:
        raise KeyError
    except KeyError as error:
        clear_locals(error)
    assert here
