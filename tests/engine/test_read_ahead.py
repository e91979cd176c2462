"""How far the input of a stream may be read, whatever the consumer and the workers do."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from metainformant.core.parallel.engine.read_ahead import ReadAhead

events = st.lists(
    st.one_of(
        st.tuples(st.just("chunks"), st.integers(1, 5000)),
        st.tuples(st.just("waiting"), st.integers(0, 200)),
        st.tuples(st.just("progress"), st.integers(0, 400), st.integers(0, 400)),
    ),
    max_size=40,
)


@given(
    workers=st.integers(1, 70),
    chunk_size=st.one_of(st.none(), st.integers(1, 4000)),
    buffer_size=st.one_of(st.none(), st.integers(1, 3000)),
    happens=events,
)
def test_grants_only_grow_and_never_exceed_the_buffer(
    workers: int, chunk_size: int | None, buffer_size: int | None, happens: list[Any]
) -> None:
    ahead = ReadAhead(max_workers=workers, chunk_size=chunk_size, buffer_size=buffer_size)
    granted = delivered = 0
    for what, *numbers in happens:
        if what == "chunks":
            ahead.chunks_have(min(numbers[0], ahead.max_chunk))
        elif what == "waiting":
            ahead.waiting(numbers[0])
        else:
            delivered = min(delivered + numbers[0], granted)  # only what was read can be delivered
            ahead.progressed(delivered, min(numbers[1], granted - delivered))
        # A consumer that has had everything is never left without permission to read more.
        more = ahead.grant()
        assert more is not None or delivered < granted
        if more is not None:
            assert more > granted
            granted = more
            if buffer_size is not None:
                assert granted <= delivered + buffer_size


def test_what_is_held_back_does_not_count_for_the_window() -> None:
    ahead = ReadAhead(max_workers=2, chunk_size=None, buffer_size=1000)
    assert ahead.grant() == 6  # three chunks of one item for each worker
    ahead.progressed(0, 4)  # four are finished and wait for the first
    assert ahead.grant() == 10
    ahead.waiting(1)  # and one waits for another attempt
    assert ahead.grant() == 11
    assert ahead.grant() is None


def test_chunks_are_small_enough_for_all_workers() -> None:
    for buffer_size in (1, 7, 64, 1000):
        for workers in (1, 3, 8):
            ahead = ReadAhead(max_workers=workers, chunk_size=None, buffer_size=buffer_size)
            assert 1 <= ahead.max_chunk <= max(1, buffer_size / (4 * workers))
