"""The reader of a stream, and the engine that looks at it."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator

from metainformant.core.parallel.engine.lazy_source import StreamSource
from tests.support import wait_until


def take(source: StreamSource) -> int:
    """What the engine would get, if it looks as often as it is told to."""
    chunk = wait_until(lambda: source.take(1))
    assert chunk is not None
    item: int = chunk.item(chunk.start)
    return item


def test_an_engine_that_waits_looks_into_a_step_that_begins_later() -> None:
    """Else it would see what such a step has read only when that ends, and it may block."""
    woken, release = threading.Event(), threading.Event()

    def numbers() -> Iterator[int]:
        yield from range(3)
        release.wait(60)
        yield 3

    source = StreamSource(numbers(), max_workers=1, chunk_size=1, buffer_size=2, wake=woken.set)
    source.start("test")
    try:
        assert [take(source), take(source)] == [0, 1]  # all that the buffer takes
        assert source.take(1) is None  # now the engine waits
        woken.clear()
        assert source.next_wakeup(0.0) == math.inf
        source.progressed(2, 0)  # a step of two items begins, the second of which blocks
        assert woken.wait(30)
        assert source.next_wakeup(0.0) < math.inf
        assert take(source) == 2
        assert not release.is_set()
    finally:
        release.set()
        source.close()
