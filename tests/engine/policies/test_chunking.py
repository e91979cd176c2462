"""How large chunks are."""

from __future__ import annotations

from typing import Any

import pytest

from metainformant.core.parallel.engine.policies.chunking import Chunking


@pytest.mark.parametrize(
    ("workers", "is_stream", "seconds"),
    [(1, True, 0.03), (8, True, 0.03125), (32, True, 0.125), (1000, True, 0.25), (8, False, 0.25)],
)
def test_chunks_of_a_stream_hold_less_but_are_not_too_many(
    workers: int, is_stream: bool, seconds: float
) -> None:
    chunking = Chunking(workers=workers, is_stream=is_stream)
    chunking.measured(1000, 0.1)
    assert chunking.next_size(None) == pytest.approx(seconds / 1e-4, abs=1)


def test_so_many_workers_get_equal_shares_at_once() -> None:
    """With chunks that become smaller and smaller, the engine would have too much to do."""
    chunking = Chunking(workers=1000)
    chunking.measured(1, 0.05)
    assert [chunking.next_size(8000 - 8 * number) for number in range(1000)] == [8] * 1000
    assert chunking.next_size(5) == 1
    few = Chunking(workers=8)
    few.measured(1, 0.05)
    assert [few.next_size(left) for left in (64, 48, 16)] == [4, 3, 1]


def test_tasks_of_one_thread_get_fewer_chunks() -> None:
    """All of them wait while one is handed a chunk, so a hundred calls of 30 ms get 13 each."""
    chunking = Chunking(workers=100, share_gil=True, share_thread=True)
    chunking.measured(1, 0.03)
    assert {chunking.next_size(4800 - 13 * number) for number in range(100)} == {13}


def test_chunks_grow_with_what_was_measured() -> None:
    chunking = Chunking(workers=8, is_stream=True)
    assert chunking.next_size(None) == 1
    chunking.measured(1, 1e-6)
    assert chunking.next_size(None) == 16


def test_one_worker_is_enough_for_tiny_items_that_share_the_gil() -> None:
    chunking = Chunking(workers=8, share_gil=True)
    assert not chunking.one_is_enough  # nothing is known yet
    chunking.measured(100_000, 0.01)
    assert chunking.one_is_enough
    # Nobody else needs a share, so chunks are not made smaller near the end.
    assert chunking.next_size(1_000_000) == 1_600_000
    chunking.measured(10, 1.0)
    assert not chunking.one_is_enough


@pytest.mark.parametrize("limit", ["chunk_size", "max_chunk"])
def test_one_worker_is_not_enough_if_it_would_wait_for_the_engine(limit: str) -> None:
    def chunking(most: int) -> Chunking:
        options: dict[str, Any] = {limit: most}
        chunking = Chunking(workers=8, share_gil=True, **options)
        chunking.measured(1000, 0.0001)
        return chunking

    assert not chunking(1000).one_is_enough
    assert chunking(1_000_000).one_is_enough


def test_other_workers_share_tiny_items() -> None:
    chunking = Chunking(workers=8)
    chunking.measured(100_000, 0.01)
    assert not chunking.one_is_enough
    assert chunking.next_size(4_000_000) == 250_000


def test_times_are_noted_of_few_items_and_of_slow_ones() -> None:
    chunking = Chunking(workers=2)
    chunking.measured(10_000, 0.01)
    assert chunking.notes_times(999)
    assert not chunking.notes_times(1000)
    chunking = Chunking(workers=2)
    chunking.measured(100, 0.01)
    assert chunking.notes_times(1_000_000)
