"""Functions that can't do are refused before anything runs, where that is certain."""

from __future__ import annotations

import dataclasses
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


class Both:
    def __call__(self, item: int, other: int) -> int:
        return item + other


@dataclasses.dataclass
class Pair:
    item: int
    other: int


class Derived(Pair):
    pass


class Anything(type):
    def __call__(cls, item: int) -> int:
        return item


class Made(metaclass=Anything):
    def __init__(self, item: int, other: int) -> None: ...


class New:
    def __new__(cls, item: int) -> Any:
        return item

    def __init__(self, item: int, other: int) -> None: ...


class Static:
    @staticmethod
    def __call__(item: int) -> int:
        return item


@pytest.mark.parametrize(
    ("func", "message"),
    [
        (add, r"needs b too. For constants pass kwargs={'b': ...}, or functools.partial"),
        (Adder().two, "needs other too"),
        (scaled, "needs factor too"),
        (Both(), "needs other too"),
        (Pair, "needs other too"),
        (Derived, "needs other too"),
        (functools.partial(Pair), "needs other too"),
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
        Static(),
        Made,
        New,
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


@pytest.mark.parametrize(
    ("initializer", "initargs", "message"),
    [
        (generate, (1,), "is a generator function: calling it runs nothing"),
        (add, (1,), r"is called with the 1 arguments of initargs=\(1,\), and needs b too"),
        (add, (1, 2, 3), "and takes 2"),
        (Adder(), (), "and needs item too"),
        (functools.partial(add, 1), (), "and needs b too"),
    ],
)
def test_initializers_that_are_refused(initializer: Any, initargs: Any, message: str) -> None:
    for kind in ("thread", "process"):
        with pytest.raises(TypeError, match=f"initializer=.*{message}"):
            list(parallel.imap(abs, [1], backend=kind, initializer=initializer, initargs=initargs))


def test_initializers_that_are_accepted() -> None:
    accepted: list[Any] = [(add, (1, 2)), (functools.partial(add, b=1), (2,)), (print, ())]
    for initializer, initargs in accepted:
        results = parallel.thread_map(abs, [-1], initializer=initializer, initargs=initargs)
        assert results == [1]


def test_an_object_that_wants_more_arguments_is_refused() -> None:
    class Two:
        def __call__(self, item: int, other: int) -> int:
            return item + other

    func: Any = Two()
    with pytest.raises(TypeError, match="and needs other too"):
        parallel.thread_map(func, [1])
    assert parallel.thread_map(functools.partial(func, other=2), [1]) == [3]


def test_with_a_state_there_are_two_arguments() -> None:
    assert parallel.thread_map(add, [1], worker_state=lambda: 2) == [3]
    with pytest.raises(TypeError, match="worker_state is passed as the last positional"):
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


@pytest.mark.parametrize(
    ("func", "items", "kwargs", "takes"),
    [
        (add, [(1,), (2,)], {}, "has 1, and func=.* takes 2"),
        (add, [(1, 2, 3)], {}, "has 3, and func=.* takes 2"),
        (add, [(1, 2)], {"b": 1}, "takes 1"),
        (functools.partial(add, 1), [(1, 2)], {}, "takes 1"),
        (Pair, [(1, 2, 3)], {}, "takes 2"),
        (Adder().two, [[1]], {}, "takes 2"),
        (lambda a, b=1: a, [()], {}, "takes 1 to 2"),
        (lambda a, *more: a, [()], {}, "takes 1 or more"),
        (add, [1, 2.5], {}, "and 1 holds none; leave star out"),
        (add, [None, (1, 2, 3)], {}, "and None holds none"),
        (add, [(1, 2, 3), 7], {}, "takes 2"),
    ],
)
def test_star_is_refused_if_no_item_fits(func: Any, items: Any, kwargs: Any, takes: str) -> None:
    for run in (parallel.thread_map, parallel.process_map, parallel.Pool().map):
        with pytest.raises(TypeError, match=rf"star=True passes the arguments .*{takes}"):
            run(func, items, star=True, kwargs=kwargs)


@pytest.mark.parametrize(
    ("func", "items", "kwargs"),
    [
        (add, [], {}),
        (add, [(1,), (1, 2)], {}),  # the first one fails for itself
        (add, ["ab"], {}),
        (add, [range(2)], {}),
        (add, [()], {"a": 1, "b": 2}),
        (add, [(1,)], {"b": 2}),
        (lambda a, /, *more, key=3: a, [(1, 2, 3)], {"key": 1}),
        (lambda a, b=1: a, [(1,)], {}),
        (max, [(1, 2)], {}),
    ],
)
def test_star_is_accepted_if_one_may_fit(func: Any, items: Any, kwargs: Any) -> None:
    results = parallel.thread_map(func, items, star=True, kwargs=kwargs, seed=1)
    assert len(results) == len(items)
    assert not results or not isinstance(results[-1], Exception)


def test_star_counts_the_state_of_a_worker() -> None:
    assert parallel.thread_map(add, [(1,)], star=True, worker_state=lambda: 2) == [3]
    with pytest.raises(TypeError, match="takes 1"):
        parallel.thread_map(add, [(1, 2)], star=True, worker_state=lambda: 2)


@pytest.mark.parametrize(
    ("func", "kwargs", "message"),
    [
        (Pair, {"third": 1}, "has 'third', which is not an argument of func"),
        (add, {"c": 1}, "kwargs={'c': 1} has 'c', which is not an argument of func=.*; .* is b"),
        (add, {"a": 1}, "has 'a', which func=.* gets by position already"),
        (lambda item, /, b: b, {"item": 1}, "has 'item', which func=.* gets by position already"),
        (lambda item: item, {"c": 1}, "is not an argument of func=.*; leave it out"),
        (scaled, {"factors": 1}, "has 'factors', which is not an argument"),
        (functools.partial(scaled), {"factors": 1}, "has 'factors', which is not an argument"),
        (Adder().two, {"self": 1}, "has 'self', which func=.* gets by position already"),
        (add, {}, "needs b too"),
        (add, ["b"], r"kwargs=\['b'\] must be a dict of argument names"),
        (add, {1: 2}, r"kwargs=\{1: 2\} must be a dict of argument names"),
    ],
)
def test_kwargs_that_are_refused(func: Any, kwargs: Any, message: str) -> None:
    for run in (parallel.thread_map, parallel.process_map, parallel.imap):
        with pytest.raises(TypeError, match=message):
            run(func, [1], kwargs=kwargs)


def test_kwargs_that_are_accepted() -> None:
    assert parallel.thread_map(add, [1], kwargs={"b": 2}) == [3]
    assert parallel.thread_map(scaled, [1], kwargs={"factor": 2}) == [2]
    assert parallel.thread_map(functools.partial(scaled, factor=3), [1], kwargs={"factor": 2}) == [
        2
    ]
    assert parallel.thread_map(lambda item, **more: more, [1], kwargs={"a": 2}) == [{"a": 2}]
    assert parallel.thread_map(pow, [2], kwargs={"exp": 3}) == [8]  # nothing is known of it


def test_star_is_checked_by_what_is_certain() -> None:
    with pytest.raises(TypeError, match=r"with the arguments in an item .* needs factor"):
        parallel.thread_map(scaled, [(1,)], star=True)
    with pytest.raises(TypeError, match="star=1 must be True or False"):
        parallel.thread_map(add, [(1, 2)], star=1)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="unknown option 'star'"):
        parallel.parallel_batch(add, [(1, 2)], star=True)  # type: ignore[call-overload]
    assert parallel.thread_map(lambda: 7, [()], star=True) == [7]


def test_kwargs_are_taken_as_they_are_at_the_call() -> None:
    constants = {"b": 1}
    stream = parallel.imap(add, [1, 2], kwargs=constants)
    constants["b"] = 100
    assert list(stream) == [2, 3]


async def fetch(item: int) -> int:
    return item


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("backend", ["thread", "serial", "asyncio"])
def test_a_coroutine_that_nobody_awaits_is_a_failure(backend: Any) -> None:
    async def forgets(item: int) -> Any:
        return fetch(item)

    func: Any = forgets if backend == "asyncio" else lambda item: fetch(item)
    for outcome in parallel.outcomes(func, range(3), backend=backend):
        assert not outcome.ok
        with pytest.raises(TypeError, match="returned a coroutine, which nobody awaits"):
            raise outcome.error  # type: ignore[misc]


def test_failures_beside_coroutines_keep_their_order() -> None:
    def some(item: int) -> Any:
        if item == 1:
            raise ValueError(item)
        return fetch(item)

    results = parallel.thread_map(some, range(3), 1, chunk_size=3)
    assert [type(error) for error in results] == [TypeError, ValueError, TypeError]
