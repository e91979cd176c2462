"""`on_complete` is called in the caller's thread, and may stop the map."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from metainformant.core import parallel
from tests.support import wait_for_other_threads, wait_until


class TestOnComplete:
    def test_it_is_called_here_for_every_success_in_order_of_completion(self) -> None:
        release = threading.Event()
        calls: list[tuple[int, str, int]] = []

        def task(text: str) -> int:
            if text == "1":
                assert release.wait(30)
            return int(text)

        def tell(index: int, item: str, result: int) -> None:
            assert threading.current_thread() is threading.main_thread()
            calls.append((index, item, result))
            if len(calls) == 2:
                release.set()

        texts = ["1", "x", "3", "4"]
        results = parallel.thread_map(task, texts, 2, on_complete=tell)
        assert [results[0], *results[2:]] == [1, 3, 4]
        assert sorted(calls) == [(0, "1", 1), (2, "3", 3), (3, "4", 4)]
        assert calls[-1] == (0, "1", 1)
        release.clear()
        calls.clear()
        assert len(list(parallel.imap(task, texts, max_workers=2, on_complete=tell))) == 4
        assert sorted(calls) == [(0, "1", 1), (2, "3", 3), (3, "4", 4)]

    def test_it_gets_whole_batches(self) -> None:
        calls: list[tuple[int, list[int], list[int]]] = []
        parallel.parallel_batch(
            sorted, [3, 1, 2], batch_size=2, on_complete=lambda *call: calls.append(call)
        )
        assert sorted(calls) == [(0, [3, 1], [1, 3]), (1, [2], [2])]

    @pytest.mark.parametrize("how", ["list", "stream"])
    def test_the_map_stops_if_it_raises(self, how: str, release: threading.Event) -> None:
        def tell(index: int, item: int, result: int) -> None:
            raise OSError("disk full")

        before = set(threading.enumerate())
        started: list[int] = []

        def task(item: int) -> int:
            started.append(item)
            if item:
                release.wait(60)
            return item

        run: Any = (
            parallel.thread_map
            if how == "list"
            else lambda *a, **options: list(parallel.imap(*a, **options))
        )
        with pytest.raises(OSError, match="disk full"):
            run(task, range(1000), max_workers=2, on_complete=tell)
        # A stream is stopped by its driver, which may take a moment.
        wait_until(lambda: not any("driver" in thread.name for thread in threading.enumerate()))
        release.set()
        wait_for_other_threads(before)
        assert len(started) <= 3

    def test_a_stop_iteration_of_it_is_raised_as_it_is_by_lists_only(self) -> None:
        """A generator, as a stream is one, cannot raise it."""

        def tell(index: int, item: int, result: int) -> None:
            raise StopIteration("mine")

        with pytest.raises(StopIteration, match="mine"):
            parallel.thread_map(abs, [1], on_complete=tell)
        with pytest.raises(RuntimeError) as caught:
            list(parallel.imap(abs, [1], on_complete=tell))
        assert isinstance(caught.value.__cause__, StopIteration)
