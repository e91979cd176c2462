"""Wrong arguments: refused at the call, with the argument, the value and the fix."""

from __future__ import annotations

import functools
import math
import queue
import re
import sys
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest

from metainformant.core import parallel

MAPS = [parallel.thread_map, parallel.thread_map_unordered, parallel.parallel_batch]


@pytest.fixture(params=MAPS, ids=lambda function: function.__name__)
def any_map(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="has interpreters")
def test_interpreters_need_a_newer_python() -> None:
    message = "interpreter_map: backend='interpreter' needs Python 3.14 or later, and this is 3."
    with pytest.raises(parallel.ParallelError, match=re.escape(message)):
        parallel.interpreter_map(len, ["abc"])
    for start in (parallel.imap, parallel.outcomes, parallel.aimap):
        with pytest.raises(parallel.ParallelError, match=r"needs Python 3\.14 .* use process_map"):
            start(len, ["abc"], backend="interpreter")


@pytest.mark.parametrize("lazy", [parallel.imap, parallel.outcomes, parallel.aimap])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"buffer_size": 0}, "buffer_size=0 must be a whole number, at least 1"),
        ({"backend": "fiber"}, "backend='fiber' must be"),
        ({"max_workers": 0}, "max_workers=0 must be a whole number"),
        ({"timeout": 0}, "timeout=0 must be a number of seconds"),
    ],
)
def test_lazy_maps_refuse_at_the_call_too(
    lazy: Any, options: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(f"{lazy.__name__}: {message}")):
        lazy(nothing, [1, 2], **options)
    with pytest.raises(TypeError, match="items=7 is not iterable"):
        lazy(nothing, 7)


def nothing(_: object) -> list[int]:
    pytest.fail("a task was started")


@pytest.mark.parametrize(
    ("argument", "value", "error", "message"),
    [
        ("max_workers", 0, ValueError, "max_workers=0 must be a whole number, at least 1"),
        ("max_workers", -2, ValueError, "max_workers=-2 must be"),
        ("max_workers", 2.5, TypeError, "max_workers=2.5 must be a whole number"),
        ("max_workers", True, TypeError, "max_workers=True must be a whole number"),
        ("max_workers", "4", TypeError, "max_workers='4' must be a whole number"),
        ("chunk_size", 0, ValueError, "chunk_size=0 must be a whole number, at least 1"),
        ("chunk_size", 1.5, TypeError, "chunk_size=1.5 must be a whole number"),
        ("timeout", 0, ValueError, "timeout=0 must be a number of seconds above 0, or None"),
        ("timeout", -1, ValueError, "timeout=-1 must be a number of seconds above 0"),
        ("timeout", math.inf, ValueError, "timeout=inf must be a number of seconds above 0"),
        ("timeout", math.nan, ValueError, "timeout=nan must be a number of seconds above 0"),
        ("timeout", 10**400, ValueError, "must be a number of seconds above 0"),
        ("timeout", "1", TypeError, "timeout='1' must be a number of seconds"),
        ("timeout", object, TypeError, "must be a number of seconds"),
        ("deadline", 0, ValueError, "deadline=0 must be a number of seconds above 0"),
        ("on_error", "ignore", ValueError, "on_error='ignore' must be 'return', 'raise' or"),
        ("on_error", [], ValueError, "on_error=[] must be 'return', 'raise' or 'skip'"),
        ("cancel", True, TypeError, "cancel=True must be a threading.Event"),
        ("skip_none", 1, TypeError, "skip_none=1 must be True or False"),
        ("seed", -1, ValueError, "seed=-1 must be a whole number, 0 or more, or None"),
        ("seed", 1.5, TypeError, "seed=1.5 must be a whole number"),
        ("seed", True, TypeError, "seed=True must be a whole number"),
        ("retries", -1, ValueError, "retries=-1 must be a whole number, at least 0"),
        ("retry_on", "all", TypeError, "retry_on='all' must be an exception class, a tuple"),
        ("retry_on", int, TypeError, "must be an exception class"),
        ("backoff", -1, ValueError, "backoff=-1 must be the seconds before the first retry"),
        ("rate", 0, ValueError, "rate=0 must be a number of starts per second above 0"),
        ("on_complete", 1, TypeError, "on_complete=1 must be a function that takes index, item"),
        ("progress", 1.5, TypeError, "progress=1.5 must be True for a bar, a string"),
        ("initializer", 1, TypeError, "initializer=1 must be a function"),
        ("initargs", "abc", TypeError, "initargs='abc' must be a tuple of arguments"),
        ("worker_state", 1, TypeError, "worker_state=1 must be a function that takes nothing"),
        ("timout", 1, TypeError, "unknown option 'timout'; did you mean 'timeout'?"),
        ("workers", 1, TypeError, "did you mean 'max_workers'?"),
        ("processes", 1, TypeError, "did you mean 'max_workers'?"),
        ("retry", 1, TypeError, "did you mean 'retries'?"),
        ("backend", "process", TypeError, "for lists, choose between the maps"),
        ("cancel", threading.Event, TypeError, "must be a threading.Event; set() it"),
    ],
)
def test_wrong_options(
    any_map: Any, argument: str, value: object, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=re.escape(message)) as caught:
        any_map(nothing, [1, 2], **{argument: value})
    assert any_map.__name__ in str(caught.value)


def test_wrong_function(any_map: Any) -> None:
    with pytest.raises(TypeError, match="func=None is not callable; pass a function"):
        any_map(None, [1, 2])

    async def coroutine(_: object) -> None: ...

    with pytest.raises(TypeError, match=r"is an async function.*call async_map"):
        any_map(coroutine, [1, 2])


def test_wrong_items(any_map: Any) -> None:
    with pytest.raises(TypeError, match="items=7 is not iterable; pass a list"):
        any_map(nothing, 7)
    with pytest.raises(TypeError, match=r"is not iterable; collect it first: \[item async for"):
        any_map(nothing, never_iterated())
    with pytest.raises(TypeError, match=r"is not iterable; iter\(items\.get, END\) reads a queue"):
        any_map(nothing, queue.Queue())
    with pytest.raises(TypeError, match="is not iterable; call it, if it returns or yields"):
        any_map(nothing, nothing)


def test_an_array_without_dimensions_is_named_by_streams_too() -> None:
    class Unsized:
        def __len__(self) -> int:
            raise TypeError("len() of unsized object")

        def __iter__(self) -> Any:
            raise TypeError("iteration over a 0-d array")

    with pytest.raises(TypeError, match=r"imap: items=<.*> is not iterable; pass a list"):
        parallel.imap(nothing, Unsized())


def test_wrong_order_and_batch_size() -> None:
    with pytest.raises(TypeError, match="ordered=1 must be True or False"):
        parallel.thread_map(nothing, [1], ordered=1)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="'ordered'; results come in the order of comp"):
        parallel.thread_map_unordered(nothing, [1], ordered=False)  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="batch_size=0 must be a whole number, at least 1"):
        parallel.parallel_batch(nothing, [1], batch_size=0)


async def never_awaited(*_: object) -> None:
    pytest.fail("it was awaited")


async def never_iterated(*_: object) -> AsyncIterator[int]:
    yield 1


class NeverAwaited:
    async def __call__(self, *_: object) -> None:
        pytest.fail("it was awaited")


@pytest.mark.parametrize(
    "option",
    ["on_complete", "progress", "backoff", "retry_on", "initializer", "worker_state", "func"],
)
@pytest.mark.parametrize(
    "function", [never_awaited, never_iterated, NeverAwaited(), functools.partial(never_awaited, 1)]
)
def test_async_functions_are_refused(option: str, function: Any) -> None:
    call: dict[str, Any] = {"func": nothing, option: function}
    for run in (parallel.thread_map, parallel.imap):
        with pytest.raises(TypeError, match=f"{option}=.* is an async function"):
            run(items=[1], **call)


@pytest.mark.parametrize(
    ("option", "function", "message"),
    [
        ("on_complete", lambda result: None, "is called with index, item and result, and takes 1"),
        ("on_complete", lambda a, b, c, d: None, "index, item and result, and needs d too"),
        ("progress", lambda: None, "is called with a Progress, and takes no argument"),
        ("backoff", lambda attempt: 1.0, "is called with the attempt and its error, and takes 1"),
        ("retry_on", lambda: True, "is called with the exception, and takes no argument"),
        ("throttled", lambda attempt, error: True, "the exception, and needs error too"),
    ],
)
def test_callbacks_that_cannot_be_called_are_refused(
    option: str, function: Any, message: str
) -> None:
    for run in (parallel.thread_map, parallel.imap, parallel.Pool().map, parallel.parallel_batch):
        with pytest.raises(TypeError, match=f"{option}=<function.* {message}"):
            run(func=nothing, items=[1], **{option: function})


def test_callbacks_that_may_fit_are_taken() -> None:
    told: list[object] = []
    append: Any = told.append
    for on_complete in (
        lambda *all_three: append(all_three),
        lambda index, item, result, more=None: append((index, item, result)),
        functools.partial(lambda name, *rest: append(rest), "name"),
    ):
        assert parallel.thread_map(abs, [-1], on_complete=on_complete, progress=append) == [1]
    assert told.count((0, -1, 1)) == 3


def test_a_misspelt_option_gets_a_suggestion() -> None:
    with pytest.raises(TypeError, match="did you mean 'on_error'"):
        parallel.thread_map(nothing, [1], onerror="raise")  # type: ignore[call-overload]


def test_wrong_arguments_of_streams_are_refused_at_the_call() -> None:
    with pytest.raises(ValueError, match="buffer_size=0 must be a whole number"):
        parallel.outcomes(nothing, [1], buffer_size=0)
    with pytest.raises(TypeError, match="outcomes: items=3 is not iterable"):
        parallel.outcomes(nothing, 3)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="unknown option 'on_error'"):
        parallel.outcomes(nothing, [1], on_error="raise")  # type: ignore[call-overload]


def test_whole_numbers_of_other_libraries_are_welcome() -> None:
    class Four:
        def __index__(self) -> int:
            return 4

    assert parallel.thread_map(abs, [-1], max_workers=Four(), timeout=5) == [1]  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("value", "error"),
    [(None, TypeError), ("x", TypeError), (0, ValueError), (math.inf, ValueError)],
)
def test_rates(value: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"RateLimit: amount=.* must be a number"):
        parallel.RateLimit(value)
    with pytest.raises(error, match=r"rate_limited_map: max_per_second=.* must be a number"):
        parallel.rate_limited_map(nothing, [1], value)


@pytest.mark.parametrize(("value", "error"), [("x", TypeError), (math.inf, ValueError)])
def test_pauses(value: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"RateLimit\.pause: seconds=.* must be a finite number"):
        parallel.RateLimit(1).pause(value)
