"""Calls that take too long: cancelled, stubborn, or in the way of all others."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from typing import Any

import pytest

from metainformant.core import parallel
from metainformant.core.parallel.backends.asyncio.worker import Worker
from metainformant.core.parallel.host.gil import HAS_GIL
from tests.support import wait_for_other_threads, wait_until

TIMEOUT = 0.3
needs_frames = pytest.mark.skipif(not HAS_GIL, reason="frames can't be read without the GIL")


async def forever(item: object) -> object:
    await _deeper(item)
    return item


async def _deeper(item: object) -> None:
    if item:
        async with asyncio.timeout(100):
            await asyncio.Event().wait()


class TestCancellation:
    def test_it_ends_the_call(self) -> None:
        ended: list[object] = []

        async def task(number: int) -> int:
            try:
                await forever(number == 1)
            finally:
                ended.append(number)
            return number

        first, error, third = parallel.async_map(task, range(3), timeout=TIMEOUT)
        assert (first, third) == (0, 2)
        assert isinstance(error, parallel.TaskTimeoutError)
        wait_until(lambda: not error.running)
        assert str(error) == f"item 1 (1) ran longer than timeout={TIMEOUT} s. The call was ended."
        assert sorted(ended, key=str) == [0, 1, 2]

    @needs_frames
    def test_the_stack_shows_where_it_waits(self) -> None:
        (error,) = parallel.async_map(forever, [1], timeout=0.1)
        assert isinstance(error, parallel.TaskTimeoutError)
        lines = [line for line in error.stack.splitlines() if "File" in line]
        assert [line.split(" in ")[-1] for line in lines] == ["forever", "_deeper", "wait"]

    @needs_frames
    def test_slow_items_are_logged_with_it(self, caplog: pytest.LogCaptureFixture) -> None:
        parallel.async_map(forever, [1], timeout=0.4, slow_after=0.1)
        (message,) = [record.getMessage() for record in caplog.records]
        assert "in _deeper" in message

    def test_a_coroutine_that_swallows_it_is_abandoned(self) -> None:
        go_on = threading.Event()
        ended = threading.Event()

        async def stubborn(number: int) -> int:
            while number == 0 and not go_on.is_set():
                try:
                    await asyncio.sleep(0.01)
                except asyncio.CancelledError:
                    continue
            if number == 0:
                ended.set()
            return number

        def numbers() -> Any:
            yield from range(3)
            go_on.wait(60)  # the loop lives for as long as the map

        # Long enough for a loop on a busy machine not to be taken for blocked.
        stream: Any = parallel.imap(stubborn, numbers(), backend="asyncio", timeout=1.0)
        with stream:
            error = next(stream)
            assert (next(stream), next(stream)) == (1, 2)
            assert isinstance(error, parallel.TaskTimeoutError)
            assert error.running
            # Nobody knows whether it has caught the exception, or has not got it yet.
            assert str(error).endswith(
                "has not ended yet. It is being cancelled: it ends once it lets the CancelledError "
                "through, and its clean-up is done."
            )
            go_on.set()
            wait_until(lambda: not error.running)
            assert ended.is_set()

    def test_a_thread_that_is_stuck_is_left_behind(self, release: threading.Event) -> None:
        before = set(threading.enumerate())
        in_time: list[bool] = []

        async def task(number: int) -> int:
            if number == 1:
                await asyncio.to_thread(lambda: in_time.append(release.wait(60)))
            return number

        first, error, third = parallel.async_map(task, range(3), timeout=TIMEOUT)
        assert not in_time
        assert (first, third) == (0, 2)
        assert isinstance(error, parallel.TaskTimeoutError)
        release.set()
        wait_for_other_threads(before)
        assert in_time == [True]

    def test_too_many_of_them_stop_the_map(self) -> None:
        async def stubborn(number: int) -> None:
            while True:
                try:
                    await asyncio.sleep(60)
                except asyncio.CancelledError:
                    if asyncio.get_running_loop().is_closed():
                        raise

        with pytest.raises(parallel.ParallelError, match="max_abandoned=1"):
            parallel.async_map(stubborn, range(9), 3, timeout=0.1, max_abandoned=1)
        gc.collect()  # what is left of them is freed without a word

    def test_limits_of_the_task_itself_are_its_own(self) -> None:
        async def task(number: int) -> int:
            async with asyncio.timeout(0.01 if number % 2 else None):
                await asyncio.sleep(60 if number % 2 else 0)
            return number

        results = parallel.async_map(task, range(20), 2)
        assert results[::2] == list(range(0, 20, 2))
        assert {type(error) for error in results[1::2]} == {TimeoutError}

    def test_a_task_may_cancel_itself(self) -> None:
        async def task(number: int) -> int:
            me = asyncio.current_task()
            assert me is not None
            assert not me.cancelling()
            if number % 2:
                me.cancel()
            await asyncio.sleep(0)
            return number

        results = parallel.async_map(task, range(6), 1)
        assert results[::2] == [0, 2, 4]
        assert {type(error) for error in results[1::2]} == {asyncio.CancelledError}


class TestBlockedLoop:
    def test_it_is_reported_by_name_and_the_map_goes_on(self) -> None:
        release, arrived = threading.Event(), []
        threads: set[int] = set()

        async def task(number: int) -> int:
            threads.add(threading.get_ident())
            if number < 2:
                arrived.append(number)
                while len(arrived) < 2:
                    await asyncio.sleep(0)
                if number == 1:
                    release.wait(60)
                await asyncio.Event().wait()
            return number

        before = set(threading.enumerate())
        results = parallel.async_map(task, range(50), 2, timeout=0.5)
        victim, culprit, *others = results
        assert others == list(range(2, 50))
        assert isinstance(culprit, parallel.TaskTimeoutError)
        assert culprit.running
        assert "It blocks the event loop" in str(culprit)
        assert isinstance(victim, parallel.TaskTimeoutError)
        assert "Item 1 blocks the event loop" in str(victim)
        assert len(threads) == 2
        if HAS_GIL:
            assert "release.wait(60)" in culprit.stack
            assert "asyncio.Event" not in culprit.stack
        release.set()
        wait_until(lambda: not (culprit.running or victim.running))
        wait_for_other_threads(before)

    def test_calls_that_had_ended_before_are_delivered(self, release: threading.Event) -> None:
        """A worker never lets others run between its last item and handing in its job."""
        items = 64  # after so many of a chunk, a worker looks whether others should have a turn
        ran: list[int] = []

        async def task(number: int) -> int:
            ran.append(number)
            if number == items:  # whenever a worker lets others run
                release.wait(60)
            return number

        for chunk_size in (1, items):
            before = len(ran)
            *others, culprit = parallel.async_map(
                task, range(items + 1), chunk_size=chunk_size, timeout=0.5
            )
            assert others == list(range(items))
            assert isinstance(culprit, parallel.TaskTimeoutError)
            assert culprit.running
            assert len(ran) - before == items + 1

    def test_who_blocks_is_looked_for_once(
        self, release: threading.Event, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """All calls that are overdue name it, so looking at all for each would take very long."""
        looks = 0
        is_running = Worker.is_running

        def counted(worker: Worker) -> bool:
            nonlocal looks
            looks += 1
            return is_running(worker)

        async def task(item: int) -> None:
            if item == 299:
                release.wait(60)
            await asyncio.Event().wait()

        monkeypatch.setattr(Worker, "is_running", counted)
        errors = parallel.async_map(task, range(300), 300, timeout=1)
        release.set()
        assert sum("Item 299 blocks the event loop" in str(error) for error in errors) == 299
        assert looks <= 3 * 300

    def test_it_keeps_no_deadline_waiting(self, release: threading.Event) -> None:
        async def block(_: int) -> None:
            release.wait(60)

        began = time.monotonic()
        results = parallel.async_map(block, range(3), deadline=0.3)
        assert time.monotonic() - began < 30
        assert {type(result) for result in results} == {parallel.TaskCancelledError}

    def test_computing_does_not_look_like_it(self) -> None:
        """Coroutines that never wait take turns with the others all the same."""

        async def task(item: int) -> int:
            if item == 0:
                for _ in range(5):
                    await asyncio.sleep(0.001)
            return item

        assert parallel.async_map(task, range(300_000), 3, timeout=30) == list(range(300_000))


def test_a_retry_follows_a_timeout() -> None:
    attempts: list[Any] = []

    async def task(number: int) -> int:
        me = parallel.current_task()
        assert me is not None
        attempts.append(me.attempt)
        await forever(me.attempt == 1)
        return number

    assert parallel.async_map(task, [7], timeout=TIMEOUT, retries=1, backoff=0) == [7]
    assert attempts == [1, 2]
