"""The shared memory in which a worker says how far it is."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metainformant.core.parallel.backends.ipc.shared_memory import Segment
from metainformant.core.parallel.backends.isolated.job import IsolatedJob
from metainformant.core.parallel.backends.isolated.result_buffer import SIZE, Header, ResultBuffer


class FakeHandle:
    """What a job has to know of its worker."""

    def __init__(self) -> None:
        self.name = "fake"
        self.segment = Segment(SIZE)
        self.buffer = ResultBuffer(self.segment)


def job_of(count: int, handle: Any) -> IsolatedJob:
    owner: Any = None  # is not asked
    job = IsolatedJob(list(range(count)), 0, 1, 1, owner, timed=False)
    job.was_sent(handle, count)
    handle.buffer.prepare(count)
    handle.buffer.header[Header.JOB] = 1
    return job


@pytest.fixture(scope="module")
def handle() -> Iterator[FakeHandle]:
    handle = FakeHandle()
    yield handle
    handle.segment.close()


@given(data=st.data(), count=st.integers(1, 20))
def test_any_interleaving_of_runs_and_cuts(data: st.DataObject, count: int) -> None:
    """The boundary that the engine's side computes after a cut is right in every interleaving."""
    handle = _hand
    buffer, job = handle.buffer, job_of(count, handle)
    permitted = buffer.permitted(list(range(count)), timed=False)
    started: list[int] = []
    mine = count  # the engine's side owns what is from here on
    for step in data.draw(st.lists(st.sampled_from(["start", "finish", "cut"]), max_size=60)):
        done = job.completed()
        if step == "start" and len(started) == done:
            item = next(permitted, None)
            if item is not None:
                started.append(item)
        elif step == "finish" and done < len(started):
            buffer.kinds[done] = 1
        elif step == "cut":
            mine = min(mine, job.truncate(data.draw(st.integers(0, count))))
        assert started == list(range(len(started)))
        assert len(started) <= mine
    for item in permitted:
        started.append(item)  # noqa: PERF402  # one by one, as a worker does
    assert len(started) in (mine, mine - 1)


_hand = FakeHandle()


@given(st.lists(st.booleans(), max_size=50), st.booleans())
def test_nothing_is_run_behind_the_first_item_that_may_not_be(
    permits: list[bool], timed: bool
) -> None:
    """While a range of permits is being cleared, any part of it may be seen to be cleared."""
    buffer = _hand.buffer
    buffer.permits[: len(permits)] = bytes(permits)
    stop = permits.index(False) if False in permits else len(permits)
    assert list(buffer.permitted(list(range(len(permits))), timed)) == list(range(stop))


def test_cuts_against_a_running_worker(handle: FakeHandle) -> None:
    """At full speed: the worker and the engine's side never both own an item."""
    count = 5000
    for round_number in range(100):
        job, buffer = job_of(count, handle), handle.buffer
        permitted = buffer.permitted(list(range(count)), timed=False)
        barrier = threading.Barrier(2)
        ran: list[int] = []

        def consume(
            permitted: Any = permitted, buffer: Any = buffer, barrier: Any = barrier, ran: Any = ran
        ) -> None:
            barrier.wait(30)
            for position, item in enumerate(permitted):
                ran.append(item)
                buffer.kinds[position] = 1

        thread = threading.Thread(target=consume)
        thread.start()
        barrier.wait(30)
        mine = count
        for keep in sorted((1 + (round_number * n * 37) % count for n in (7, 3)), reverse=True):
            while job.completed() < keep // 2 and thread.is_alive():
                pass
            mine = min(mine, job.truncate(keep))
        thread.join(30)
        assert ran == list(range(len(ran)))
        assert mine - 1 <= len(ran) <= mine
        assert job.completed() == len(ran)
