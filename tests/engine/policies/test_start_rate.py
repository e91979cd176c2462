"""A map keeps its starts to a rate."""

from __future__ import annotations

import threading
import time

import pytest

from metainformant.core import parallel


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
