"""A list that is incomplete raises, or shows in its place what is missing."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from metainformant.core import parallel


class TestIncompleteListsRaise:
    """Where unfinished items have no slot of their own, as where they have one and are to raise."""

    def stopped(self, release: threading.Event, **options: Any) -> parallel.ParallelError:
        def task(number: int) -> int:
            if number == 2:
                raise ValueError(number)
            if number == 4:
                release.wait(60)
            return number

        with pytest.raises(parallel.ParallelError) as caught:
            parallel.thread_map(task, range(6), 1, chunk_size=1, **options)
        return caught.value

    def test_a_deadline(self, release: threading.Event) -> None:
        error = self.stopped(release, on_error="skip", deadline=1)
        assert isinstance(error, parallel.TaskCancelledError)
        assert (error.index, error.started) == (4, True)
        assert error.results == [0, 1, 3]

    def test_cancel(self, release: threading.Event) -> None:
        cancel = threading.Event()
        cancel.set()
        error = self.stopped(release, on_error="skip", cancel=cancel)
        assert isinstance(error, parallel.TaskCancelledError)
        assert error.results is not None

    def test_too_many_failures(self, release: threading.Event) -> None:
        error = self.stopped(release, on_error="skip", max_failures=0)
        assert isinstance(error, parallel.TooManyFailuresError)
        assert error.results in ([0, 1], [0, 1, 3])

    def test_a_map_that_was_complete_does_not_raise(self) -> None:
        cancel = threading.Event()

        def task(number: int) -> int:
            if number == 5:
                cancel.set()
            return number

        results = parallel.thread_map(task, range(6), 1, on_error="skip", cancel=cancel)
        assert results == list(range(6))

    def test_batches_have_their_failures_in_the_results(self) -> None:
        def task(batch: list[int]) -> list[int]:
            if batch[0] == 2:
                raise ValueError(batch)
            return batch

        with pytest.raises(parallel.TooManyFailuresError) as caught:
            parallel.parallel_batch(
                task, range(5000), 2, 1, chunk_size=1, max_failures=0, on_error="raise"
            )
        results = caught.value.results
        assert results is not None
        assert len(results) == 5000
        assert results[:2] == [0, 1]
        assert [type(result) for result in results[2:4]] == [ValueError] * 2


@pytest.mark.parametrize("workers", ["thread_map", "process_map", "async_map", "serial"])
def test_nothing_is_started_if_cancel_is_set_before(workers: str) -> None:
    started: list[int] = []
    cancel = threading.Event()
    cancel.set()

    async def coroutine(item: int) -> None:
        started.append(item)

    task: Any = coroutine if workers == "async_map" else started.append
    if workers == "serial":
        with parallel.serial():
            results: list[Any] = parallel.thread_map(task, [1, 2], cancel=cancel)
    else:
        results = getattr(parallel, workers)(task, [1, 2], cancel=cancel)
    assert started == []
    assert [(type(error), error.started) for error in results] == [
        (parallel.TaskCancelledError, False)
    ] * 2
