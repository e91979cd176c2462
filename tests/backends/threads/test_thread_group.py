"""Maps where the system refuses threads."""

from __future__ import annotations

import itertools
import threading

import pytest

from metainformant.core import parallel
from metainformant.core.parallel.host.gil import HAS_GIL
from tests.support import wait_for_other_threads


class TestFewThreads:
    """A system that refuses some threads or all."""

    def refuse(self, monkeypatch: pytest.MonkeyPatch, allowed: set[int]) -> None:
        start, numbers = threading.Thread.start, itertools.count(1)

        def limited(thread: threading.Thread) -> None:
            if thread.name.startswith("thread_map") and next(numbers) not in allowed:
                raise RuntimeError("can't start new thread")
            start(thread)

        monkeypatch.setattr(threading.Thread, "start", limited)

    @pytest.mark.parametrize("allowed", [{1}, {1, 2}, {1, 3}, {2, 3}, {1, 2, 4, 5, 6}])
    def test_the_map_goes_on_with_what_it_gets(
        self, monkeypatch: pytest.MonkeyPatch, allowed: set[int]
    ) -> None:
        self.refuse(monkeypatch, allowed)
        if 1 in allowed:
            assert parallel.thread_map(abs, range(-50, 0), 4) == list(range(50, 0, -1))
        else:
            with pytest.raises(parallel.ParallelError, match="can't start"):
                parallel.thread_map(abs, range(-50, 0), 4)

    @pytest.mark.parametrize("which", ["reader", "imap driver", "imap-1"])
    def test_a_stream_says_so_and_leaves_nothing_behind(
        self, monkeypatch: pytest.MonkeyPatch, which: str
    ) -> None:
        start = threading.Thread.start
        before = set(threading.enumerate())

        def limited(thread: threading.Thread) -> None:
            if thread.name == which:
                raise RuntimeError("can't start new thread")
            start(thread)

        monkeypatch.setattr(threading.Thread, "start", limited)
        with pytest.raises(parallel.ParallelError, match="imap can't start another thread"):
            list(parallel.imap(abs, itertools.count(), max_workers=1))
        wait_for_other_threads(before)

    def test_stuck_tasks_leave_the_last_worker_to_the_others(
        self, monkeypatch: pytest.MonkeyPatch, release: threading.Event
    ) -> None:
        self.refuse(monkeypatch, {1, 2, 4, 5})
        results = parallel.thread_map(
            lambda number: release.wait(60) if number < 2 else number, range(3), 3, timeout=0.3
        )
        assert results[2] == 2
        assert all(isinstance(result, parallel.TaskTimeoutError) for result in results[:2])

    def test_no_worker_at_all_keeps_what_there_is(
        self, monkeypatch: pytest.MonkeyPatch, release: threading.Event
    ) -> None:
        self.refuse(monkeypatch, {1})
        with pytest.raises(parallel.ParallelError, match="can't start another thread") as caught:
            parallel.thread_map(
                lambda number: release.wait(60) if number == 1 else number, range(3), 1, timeout=0.3
            )
        assert caught.value.results is not None
        assert caught.value.results[0] == 0
        assert isinstance(caught.value.results[2], parallel.TaskCancelledError)


@pytest.mark.skipif(HAS_GIL, reason="only without the GIL are objects freed in other threads")
def test_nothing_is_called_when_the_object_of_a_worker_is_freed() -> None:
    """An exception that is to end an overdue call would be lost there."""
    dangling: set[threading.Thread] = threading._dangling  # type: ignore[attr-defined]
    workers: set[threading.Thread] = set()
    meet = threading.Barrier(3, timeout=30)

    def task(_: int) -> None:
        workers.add(threading.current_thread())
        meet.wait()

    parallel.thread_map(task, range(3), 3)
    assert len(workers) == 3
    for worker in workers:
        worker.join(30)
    assert workers.isdisjoint(set(dangling))
