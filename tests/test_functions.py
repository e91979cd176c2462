"""Functions that can't do are refused before anything runs, where that is certain."""

from __future__ import annotations

import functools
import unittest.mock
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from metainformant.core import parallel


def add(a: int, b: int) -> int:
    return a + b


def generate(item: int) -> Iterator[int]:
    yield item


def scaled(item: int, *, factor: int) -> int:
    return item * factor


class Adder:
    def method(self, item: int) -> int:
        return item

    def two(self, item: int, other: int) -> int:
        return item + other

    @staticmethod
    def static(item: int) -> int:
        return item

    def __call__(self, item: int) -> int:
        return item


@pytest.mark.parametrize(
    ("func", "message"),
    [
        (add, "needs b too. For constants use functools.partial"),
        (Adder().two, "needs other too"),
        (scaled, "needs factor too"),
        (functools.partial(scaled), "needs factor too"),
        (lambda: 0, "takes no argument"),
        (generate, "is a generator function: calling it runs nothing"),
        (functools.partial(generate), "is a generator function"),
    ],
)
@pytest.mark.parametrize("run", [parallel.thread_map, parallel.process_map, parallel.imap])
def test_refused(run: Callable[..., Any], func: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        run(func, [(1, 2)])


@pytest.mark.parametrize(
    "func",
    [
        Adder().method,
        Adder.static,
        Adder(),
        functools.partial(add, 1),
        functools.partial(add, b=1),
        functools.partial(scaled, factor=2),
        lambda *items: items,
        lambda item, factor=2: item * factor,
        len,
        str,
        unittest.mock.Mock(),
        functools.wraps(add)(lambda *items: items),
        functools.lru_cache(lambda item: item),
    ],
)
def test_accepted(func: Any) -> None:
    (result,) = parallel.thread_map(func, ["1"] if func in (len, str) else [1])
    assert not isinstance(result, TypeError)


def test_with_a_state_there_are_two_arguments() -> None:
    assert parallel.thread_map(add, [1], worker_state=lambda: 2) == [3]
    with pytest.raises(TypeError, match="worker_state is passed as the second argument"):
        parallel.thread_map(abs_of, [1], worker_state=lambda: 2)


def abs_of(item: int) -> int:
    return abs(item)


def test_batches_may_come_from_a_generator_function() -> None:
    def doubled(batch: list[int]) -> Iterator[int]:
        for item in batch:
            yield 2 * item

    assert parallel.parallel_batch(doubled, range(5), batch_size=2) == [0, 2, 4, 6, 8]
    with pytest.raises(TypeError, match="needs b too"):
        parallel.parallel_batch(add, range(5))  # type: ignore[arg-type]
