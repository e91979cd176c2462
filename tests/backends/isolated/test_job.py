"""A job of an isolated worker: its states, its boundary, and what was sent beside its buffer."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metainformant.core.parallel.backends.ipc.shared_memory import Segment
from metainformant.core.parallel.backends.isolated.boundary import Boundary
from metainformant.core.parallel.backends.isolated.job import IsolatedJob
from metainformant.core.parallel.backends.isolated.job_state import JobState
from metainformant.core.parallel.backends.isolated.result_buffer import (
    SIZE,
    Header,
    Kind,
    ResultBuffer,
)


class Handle:
    """A worker, as far as a job has to know it."""

    name = "fake"

    def __init__(self) -> None:
        self.segment = Segment(SIZE)
        self.buffer = ResultBuffer(self.segment)


@pytest.fixture(scope="module")
def handle() -> Iterator[Any]:
    handle = Handle()
    yield handle
    handle.segment.close()


class Owner:
    """The group, which receives what `pending` does."""

    def __init__(self) -> None:
        self.abandoned: list[Any] = []
        self.pending: Callable[[], object] = lambda: None

    def worker_abandoned(self, handle: Any) -> None:
        self.abandoned.append(handle)

    def receive_pending(self, handle: Any) -> None:
        self.pending()

    def stack(self, handle: Any) -> tuple[()]:
        return ()


def sent(handle: Any, count: int, owner: Any = None) -> IsolatedJob:
    job = IsolatedJob(list(range(count)), 0, 1, 1, owner or Owner(), timed=False)
    handle.buffer.prepare(count)
    handle.buffer.header[Header.JOB] = 0
    job.was_sent(handle, count)
    return job


# The boundary


@given(st.integers(1, 30), st.lists(st.tuples(st.integers(0, 30), st.integers(0, 3)), max_size=8))
def test_cuts_leave_each_item_to_one_side(count: int, cuts: list[tuple[int, int]]) -> None:
    """A worker that looks at a permit only when the item before is finished never goes too far."""
    boundary, permitted, completed = Boundary(), count, 0
    is_started = True  # the item behind the completed ones
    for keep, steps in cuts:
        for _ in range(steps):
            if is_started:
                completed += 1
            is_started = completed < permitted  # it looks at the permit
        permitted = min(permitted, keep)
        stop = boundary.cut(keep, completed)
        first_not_started = completed + is_started
        assert stop >= min(first_not_started, count) or stop >= keep
        assert max(first_not_started, permitted) <= max(stop, first_not_started)
        assert boundary.stop <= stop
    while is_started:
        completed += 1
        is_started = completed < permitted
    # What it has run in the end is not beyond what was left to it, and at most one item short.
    stop = min(boundary.stop, count)
    assert stop - 1 <= completed <= max(stop, 1)


@given(
    st.integers(0, 20),
    st.integers(1, 20),
    st.lists(st.integers(0, 20), max_size=4),
    st.booleans(),
)
def test_the_item_in_flight_of_a_worker_that_died(
    position: int, sent: int, cuts: list[int], permitted: bool
) -> None:
    boundary = Boundary()
    for keep in cuts:
        boundary.cut(keep, position)
    in_flight = boundary.is_in_flight(position, sent, permitted=permitted)
    if position >= sent or (cuts and position >= boundary.stop):
        assert not in_flight  # it was never sent, or nothing of it can have been started
    elif permitted:
        assert in_flight
    else:
        assert in_flight == (position >= min(cuts, default=sys.maxsize))


# States


def test_only_some_states_follow_each_other() -> None:
    allowed = {
        (JobState.QUEUED, JobState.SENT),
        (JobState.QUEUED, JobState.ENDED),
        (JobState.QUEUED, JobState.DROPPED),
        (JobState.SENT, JobState.RUNNING),
        (JobState.SENT, JobState.QUEUED),
        (JobState.SENT, JobState.ENDED),
        (JobState.SENT, JobState.ABANDONED),
        (JobState.RUNNING, JobState.ENDED),
        (JobState.RUNNING, JobState.ABANDONED),
        (JobState.ABANDONED, JobState.DROPPED),
    }
    for pair in itertools.product(JobState, JobState):
        if pair in allowed:
            assert pair[0].to(pair[1]) is pair[1]
        else:
            with pytest.raises(AssertionError, match="can't go from"):
                pair[0].to(pair[1])


def test_the_life_of_a_job(handle: Any) -> None:
    job = sent(handle, 3)
    assert not job.has_begun()
    assert (job.state, job.started) == (JobState.SENT, None)
    handle.buffer.header_times[Header.STARTED] = 5.0
    handle.buffer.header[Header.JOB] = job.number
    assert job.started == 5.0
    assert job.state is JobState.RUNNING
    for position in range(3):
        handle.buffer.column[position] = position * 10
        handle.buffer.kinds[position] = Kind.INT
    handle.buffer.header_times[Header.ENDED] = 6.0
    job.end()
    assert (job.finish().values, job.ended, job.handle) == ([0, 10, 20], 6.0, None)
    assert not job.abandon()


def test_a_job_that_its_worker_did_not_begin_is_queued_without_what_was_taken_back(
    handle: Any,
) -> None:
    job = sent(handle, 5)
    assert job.truncate(3) == 3
    job.requeue()
    assert (job.state, job.items, job.one_by_one) == (JobState.QUEUED, [0, 1, 2], True)


def test_a_job_that_was_abandoned_tells_its_owner_and_then_lets_go_of_it(handle: Any) -> None:
    owner = Owner()
    job = sent(handle, 2, owner)
    assert job.abandon()
    assert owner.abandoned == [handle]
    assert handle.buffer.header[Header.CANCELLED] == job.number
    job.drop()
    assert (job.state, job.handle, job.items) == (JobState.DROPPED, None, [])


# Results that are sent beside the buffer


def finish_out_of_band(handle: Any, count: int) -> None:
    for position in range(count):
        handle.buffer.kinds[position] = Kind.OUT_OF_BAND


def test_results_that_were_not_received_when_their_job_was_abandoned(handle: Any) -> None:
    owner = Owner()
    job = sent(handle, 3, owner)
    finish_out_of_band(handle, 2)

    def receive() -> None:
        for position in range(2):
            job.results.out_of_band[position] = f"large {position}".__str__

    owner.pending = receive
    assert job.abandon()
    assert job.peek(2).values == ["large 0", "large 1"]


def test_an_abandoned_job_that_ends_while_its_results_are_received(handle: Any) -> None:
    """Its worker comes back just then: what had been finished before is not lost."""
    owner = Owner()
    job = sent(handle, 3, owner)
    finish_out_of_band(handle, 2)

    def receive() -> None:
        job.results.out_of_band.update({0: lambda: "large 0", 1: lambda: "large 1"})
        job.drop()

    owner.pending = receive
    assert job.abandon()
    assert job.peek(2).values == ["large 0", "large 1"]


def test_a_result_that_never_comes_costs_its_own_slot(handle: Any) -> None:
    job = sent(handle, 3)
    finish_out_of_band(handle, 1)
    (error,) = job.peek(1).values
    assert "can't be read: OSError: it could not be received" in str(error)
