"""How large chunks are."""

from __future__ import annotations

import pytest

from metainformant.core.parallel.engine.policies.schedule import Schedule


@pytest.mark.parametrize(
    ("workers", "is_stream", "seconds"),
    [(1, True, 0.03), (8, True, 0.03125), (32, True, 0.125), (1000, True, 0.25), (8, False, 0.25)],
)
def test_chunks_of_a_stream_hold_less_but_are_not_too_many(
    workers: int, is_stream: bool, seconds: float
) -> None:
    schedule = Schedule(workers=workers, is_stream=is_stream)
    schedule.measured(1000, 0.1)
    assert schedule.chunk_size(None) == pytest.approx(seconds / 1e-4, abs=1)


def test_chunks_grow_with_what_was_measured() -> None:
    schedule = Schedule(workers=8, is_stream=True)
    assert schedule.chunk_size(None) == 1
    schedule.measured(1, 1e-6)
    assert schedule.chunk_size(None) == 16
