"""The order of completion."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from metainformant.core import parallel
from metainformant.core.parallel.engine.assignment import Assignment
from metainformant.core.parallel.engine.outcome_batch import OutcomeBatch
from metainformant.core.parallel.engine.source import Chunk
from metainformant.core.parallel.runner.completion_order import CompletionCollector
from metainformant.core.parallel.runner.delivery import Selection

# How long the items of some chunks took, one after the other.
chunks = st.lists(st.lists(st.sampled_from([0.0, 1e-4, 0.003, 0.005, 0.1]), min_size=1), max_size=6)


@given(durations=chunks)
def test_items_that_end_5_ms_apart_are_in_that_order(durations: list[list[float]]) -> None:
    collector = CompletionCollector(Selection())
    ends: list[float] = []
    for seconds in durations:
        times = [0.0]
        for duration in seconds:
            times.append(times[-1] + duration)
        first = len(ends)
        ends += times[1:]
        values = list(range(first, len(ends)))
        chunk = Chunk(values, first, first, len(ends))
        collector.add(OutcomeBatch(chunk, first, values, {}, "", times))
    results = collector.results()
    assert sorted(results) == list(range(len(ends)))
    latest = 0.0  # of those that come before
    for index in results:
        assert ends[index] > latest - 0.005 or ends[index] == latest
        latest = max(latest, ends[index])


def test_failures_may_be_left_out_and_items_without_times_are_the_last() -> None:
    collector = CompletionCollector(Selection("skip"))
    chunk = Chunk(["a", "b", "c", "d"], 0, 0, 4)
    collector.add(OutcomeBatch(chunk, 3, ["never started"], {}))
    error = ValueError()
    collector.add(OutcomeBatch(chunk, 0, [0, error, 2], {1: error}, "", [0.0, 1.0, 2.0, 3.0]))
    assert collector.results() == [0, 2, "never started"]


def test_samples_say_when_items_were_finished() -> None:
    done = iter([0, 4, 4, 6])
    job: Any = SimpleNamespace(started=1.0, completed=lambda: next(done))
    assignment = Assignment(job, Chunk(list(range(10, 20)), 10, 10, 20), keep_samples=True)
    for now in (2.0, 3.0, 4.0, 5.0):
        assignment.look(now)
    assert assignment.sampled_times(10, 9.0) == [1.0, *[3.0] * 4, *[5.0] * 2, *[9.0] * 4]
    assert assignment.sampled_times(3, 9.0) == [1.0, *[3.0] * 3]


def test_a_quick_chunk_that_turns_slow_is_not_all_late() -> None:
    """Its first items come before an item that is finished while it stands."""
    slow, other = threading.Event(), threading.Event()

    def task(number: int) -> int:
        if number == 90_000:  # in the middle of a chunk of quick items
            other.wait(30)
            slow.wait(0.1)
        elif number == 99_999:  # the last, which another worker takes over
            slow.wait(0.1)
            other.set()
        return number

    results = parallel.thread_map_unordered(task, range(100_000), 2)
    assert set(results) == set(range(100_000))
    place = {number: position for position, number in enumerate(results)}
    assert place[89_000] < place[99_999] < place[90_000]
