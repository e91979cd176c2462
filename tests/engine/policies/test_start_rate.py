"""A map keeps its starts to a rate."""

from __future__ import annotations

import math
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from metainformant.core import parallel

RATE = parallel.RateLimit(5)


def test_a_limit_is_shared_by_maps_and_threads() -> None:
    limit = parallel.RateLimit(100)
    starts: list[float] = []

    def task(_: int) -> None:
        starts.append(time.monotonic())

    def by_hand() -> None:
        for _ in range(10):
            limit.acquire()
            task(0)

    threads = [
        threading.Thread(target=lambda: parallel.thread_map(task, range(15), rate=limit)),
        threading.Thread(target=lambda: list(parallel.imap(task, range(15), rate=limit))),
        threading.Thread(target=by_hand),
    ]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(starts) == 40
    assert time.monotonic() - began >= 0.37  # 38 intervals of 10 ms


@pytest.mark.parametrize("chunk_size", [None, 5])
def test_a_map_keeps_to_its_rate_with_retries(chunk_size: int | None) -> None:
    starts: list[float] = []

    def task(item: int) -> int:
        starts.append(time.monotonic())
        if len(starts) % 3 == 0:
            raise OSError
        return item

    results = parallel.thread_map(
        task, range(40), rate=200, retries=20, backoff=0, chunk_size=chunk_size
    )
    assert results == list(range(40))
    assert len(starts) > 50
    # One more than evenly spaced starts would be, and some room for threads that come late.
    assert starts[-1] - starts[0] >= (len(starts) - 3) / 200 - 0.05


def test_a_rate_stops_nothing_from_being_cancelled() -> None:
    results = parallel.thread_map(abs, range(10), rate=0.01, deadline=1)
    assert results[0] == 0
    assert all(isinstance(result, parallel.TaskCancelledError) for result in results[2:])


def test_all_limits_hold_and_costs_count() -> None:
    starts: list[float] = []

    def task(item: str) -> int:
        starts.append(time.monotonic())
        return len(item)

    calls = parallel.RateLimit(1000)
    letters = parallel.RateLimit(200, cost=len)
    items = ["x" * 10] * 5
    assert parallel.thread_map(task, items, rate=[calls, letters]) == [10] * 5
    assert starts[-1] - starts[0] >= 3 * 10 / 200 - 0.02  # one may come early


@pytest.mark.parametrize("cost", [-1, math.inf])
def test_a_wrong_cost_ends_the_map(cost: float) -> None:
    message = rf"cost\('a'\) returned {cost}; it must return a finite number, 0 or more"
    with pytest.raises(ValueError, match=message):
        parallel.thread_map(len, ["a"], rate=parallel.RateLimit(10, cost=lambda item: cost))


def test_a_cost_that_raises_names_the_item() -> None:
    limit = parallel.RateLimit(1e6, cost=lambda item: {0: 1.0}[item])
    with pytest.raises(KeyError) as caught:
        parallel.thread_map(abs, range(3), rate=limit)
    (note,) = caught.value.__notes__
    assert note.startswith("RateLimit: cost=")
    assert note.endswith("raised this for 1")


@pytest.mark.parametrize(
    ("rate", "message"),
    [
        ([], "must be a number of starts per second above 0, a RateLimit or several"),
        ([RATE, RATE], "has the limit RateLimit.5. twice"),
        ([RATE, RATE.with_cost(len)], "has the limit RateLimit.5. twice"),
    ],
)
def test_wrong_lists_of_limits_are_refused(rate: list[parallel.RateLimit], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parallel.thread_map(len, ["a"], rate=rate)


def test_a_map_stops_before_the_call_that_would_cost_too_much(tmp_path: Path) -> None:
    letters = parallel.RateLimit(1e6, cost=len)
    items = ["abc", "de", "fghi", "j"]
    ran: list[str] = []

    def task(item: str) -> int:
        ran.append(item)
        return len(item)

    def run(most: float) -> list[int | BaseException]:
        path = tmp_path / "outcomes.sqlite"
        checkpoint = parallel.Checkpoint(path, on_change="accept")  # the list that it adds to
        return parallel.thread_map(task, items, rate=letters, max_cost=most, checkpoint=checkpoint)

    results = run(8)
    assert results[:2] == [3, 2]
    for index, error in enumerate(results[2:], 2):
        assert isinstance(error, parallel.TaskCancelledError)
        assert (error.index, error.started) == (index, False)
        assert error.reason == (
            "max_cost=8 would be exceeded: 5 were spent, and the next task costs 4"
        )
    assert sorted(ran) == ["abc", "de"]
    assert run(5) == [3, 2, 4, 1]  # what is recorded costs nothing
    assert sorted(ran) == sorted(items)
    with pytest.raises(parallel.TaskCancelledError, match="max_cost=4 would be exceeded"):
        parallel.thread_map(task, items, rate=letters, max_cost=4, on_error="raise")


@pytest.mark.parametrize(
    "start", [parallel.thread_map, partial(parallel.parallel_batch, batch_size=2)]
)
def test_what_tasks_settle_counts_for_the_budget(start: Any) -> None:
    """Guessed costs would end the map after two items; and nothing is lost that was in flight."""
    letters = parallel.RateLimit(1e6, cost=lambda item: 10)

    def task(item: Any) -> Any:
        letters.settle(7)
        letters.settle(1)  # the last one counts
        return item

    assert start(task, range(10), rate=letters, max_cost=25, max_workers=2) == list(range(10))


def test_callbacks_can_settle() -> None:
    letters = parallel.RateLimit(1e6, cost=lambda item: 10)

    def settle(index: int, item: int, result: int) -> None:
        letters.settle(0)

    run = parallel.process_map(abs, range(5), 1, rate=letters, max_cost=10, on_complete=settle)
    assert run == list(range(5))


@pytest.mark.parametrize("rate", [None, 5, parallel.RateLimit(5)])
def test_a_budget_needs_a_unit(rate: Any) -> None:
    with pytest.raises(ValueError, match="max_cost=5 is in the units of the one limit that has"):
        parallel.thread_map(len, ["a"], rate=rate, max_cost=5)
