"""Which values the caller gets: `default` and `skip_none`, with every kind of workers."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from metainformant.core import parallel

from . import tasks
from .table import Kind

COUNT = 300
DEFAULT = [number if number % 2 == 0 else -1 for number in range(COUNT)]
NONE_LEFT_OUT = [number for number in range(COUNT) if number % 3]


def asynchronous(func: Any, items: Any, **options: Any) -> list[Any]:
    async def collect() -> list[Any]:
        return [value async for value in parallel.aimap(func, items, **options)]

    return asyncio.run(collect())


def test_a_default_is_in_the_slots_of_failed_items(kind: Kind) -> None:
    assert kind.run(tasks.fail_on_odd, range(4), default=None) == [0, None, 2, None]
    func = kind.task(tasks.fail_on_odd)
    with parallel.Pool(max_workers=2, **kind.stream_options) as pool:
        for options in ({}, {"chunk_size": 7}, {"max_failures": 0.9}):
            results = pool.map(func, range(COUNT), default=-1, **options)
            assert results == DEFAULT
        unordered = pool.map(func, range(COUNT), default=-1, ordered=False)
        assert sorted(unordered) == sorted(DEFAULT)
        assert list(pool.imap(func, range(COUNT), default=-1)) == DEFAULT
    options = {"default": -1, **kind.stream_options}
    assert asynchronous(func, range(COUNT), **options) == DEFAULT


def test_a_batch_that_fails_has_it_for_each_of_its_items(kind: Kind) -> None:
    with parallel.Pool(max_workers=2, **kind.stream_options) as pool:
        assert pool.batch(kind.task(tasks.fail_if_seven), range(12), 3, default=-1) == [
            *range(6), -1, -1, -1, *range(9, 12)
        ]  # fmt: skip


def test_none_is_left_out(kind: Kind) -> None:
    assert kind.run(tasks.none_for_thirds, range(4), skip_none=True) == [1, 2]
    func = kind.task(tasks.none_for_thirds)
    with parallel.Pool(max_workers=2, **kind.stream_options) as pool:
        assert pool.map(func, range(COUNT), skip_none=True) == NONE_LEFT_OUT
        unordered: list[Any] = pool.map(func, range(COUNT), skip_none=True, ordered=False)
        assert sorted(unordered) == NONE_LEFT_OUT
        assert list(pool.imap(func, range(COUNT), skip_none=True)) == NONE_LEFT_OUT
        outcomes = pool.outcomes(func, range(COUNT), skip_none=True)
        assert [outcome.index for outcome in outcomes] == NONE_LEFT_OUT
        batches = pool.batch(kind.task(tasks.same), [1, None, 2, None, 3], 2, skip_none=True)
        assert batches == [1, 2, 3]
    options = {"skip_none": True, **kind.stream_options}
    assert asynchronous(func, range(COUNT), **options) == NONE_LEFT_OUT


def test_failures_are_not_none(kind: Kind) -> None:
    results = kind.run(tasks.none_or_failure, range(4), skip_none=True)
    assert [type(result) for result in results] == [ValueError, ValueError]
    func = kind.task(tasks.none_or_failure)
    with parallel.Pool(**kind.stream_options) as pool:
        assert pool.map(func, range(4), skip_none=True, on_error="skip") == []
        outcomes = pool.outcomes(func, range(4), skip_none=True)
        assert [outcome.index for outcome in outcomes] == [1, 3]


def test_a_map_that_was_stopped_raises(kind: Kind) -> None:
    cancel = threading.Event()
    with pytest.raises(parallel.TaskCancelledError) as caught:
        kind.run(
            tasks.fail_on_odd,
            range(2000),
            chunk_size=1,
            cancel=cancel,
            on_complete=lambda *_: cancel.set(),
            default=-1,
        )
    assert caught.value.results is not None
    assert len(caught.value.results) == 2000
    assert set(map(type, caught.value.results)) == {int}


def test_a_default_is_refused_where_failures_have_no_slot(kind: Kind) -> None:
    with pytest.raises(ValueError, match="default=-1 is for the slots of failed items"):
        kind.run(tasks.same, [1], default=-1, on_error="skip")
