"""`aimap` and `aiomap` with async functions: their calls are tasks of the caller's loop."""

from __future__ import annotations

import asyncio
import gc
import itertools
import threading
from contextlib import aclosing
from typing import Any

import pytest

from metainformant.core import parallel
from metainformant.core.parallel.runner import awaited_map
from tests.support import wait_for_other_threads, wait_until


async def collected(func: Any, items: Any, **options: Any) -> list[Any]:
    return [value async for value in parallel.aimap(func, items, **options)]


MAPS: list[Any] = [parallel.aiomap, collected]


@pytest.fixture(params=MAPS, ids=["aiomap", "aimap"])
def map_it(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a busy machine have all the time that it needs to end calls."""
    monkeypatch.setattr(awaited_map, "_GRACE_SECONDS", 60.0)


def test_calls_run_in_the_callers_loop(map_it: Any) -> None:
    before = set(threading.enumerate())

    async def main() -> None:
        loop, lock = asyncio.get_running_loop(), asyncio.Lock()

        async def task(item: int) -> int:
            assert asyncio.get_running_loop() is loop
            async with lock:  # which belongs to this loop
                await asyncio.sleep(0)
            if item % 10 == 9:
                raise ValueError(item)
            return item

        results = await map_it(task, range(200), max_workers=10)
        assert results[::10] == list(range(0, 200, 10))
        assert {type(error) for error in results[9::10]} == {ValueError}
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())
    wait_for_other_threads(before)


def test_the_state_lives_in_it_too(map_it: Any) -> None:
    told: list[object] = []

    class Client:
        async def __aenter__(self) -> Client:
            told.append(asyncio.get_running_loop())
            return self

        async def __aexit__(self, *_: object) -> None:
            told.append(asyncio.get_running_loop())

    async def main() -> None:
        async def task(item: int, client: Client) -> bool:
            return isinstance(client, Client)

        assert await map_it(task, range(50), worker_state=Client) == [True] * 50
        assert told == [asyncio.get_running_loop()] * 2

    asyncio.run(main())


def test_a_caller_that_is_cancelled_stops_everything(map_it: Any) -> None:
    before = set(threading.enumerate())
    ended: list[int] = []

    async def main() -> None:
        all_run = asyncio.Event()

        async def task(item: int) -> None:
            if item == 4:
                all_run.set()
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0)
                ended.append(item)

        caller = asyncio.create_task(map_it(task, range(100), max_workers=5))
        await all_run.wait()
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        assert sorted(ended) == list(range(5))
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())
    wait_for_other_threads(before)


def test_a_caller_that_is_cancelled_again_and_again_waits_for_its_calls(map_it: Any) -> None:
    """Scopes of anyio cancel a task until it has left them."""
    ended: list[int] = []

    async def main() -> None:
        all_run = asyncio.Event()

        async def task(item: int) -> None:
            if item == 4:
                all_run.set()
            try:
                await asyncio.Event().wait()
            finally:
                for _ in range(10):
                    await asyncio.sleep(0)
                ended.append(item)

        caller = asyncio.create_task(map_it(task, range(100), max_workers=5))
        await all_run.wait()
        while not caller.done():
            caller.cancel()
            await asyncio.sleep(0)
        assert caller.cancelled()
        assert sorted(ended) == list(range(5))
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


def test_a_map_whose_tasks_a_stranger_has_cancelled_ends(map_it: Any) -> None:
    async def main() -> None:
        caller = asyncio.current_task()

        async def task(item: int) -> None:
            for each in asyncio.all_tasks() - {caller}:
                each.cancel()
            await asyncio.Event().wait()

        await map_it(task, range(100), max_workers=5)

    with pytest.raises(parallel.ParallelError, match="something else has cancelled its tasks"):
        asyncio.run(main())


def test_a_loop_ends_beside_a_stream_that_was_not_left() -> None:
    streams: list[Any] = []

    async def task(item: int) -> int:
        if item > 5:
            await asyncio.Event().wait()
        return item

    async def main() -> None:
        streams.append(parallel.aimap(task, range(100), max_workers=10))
        assert await anext(streams[0]) == 0

    before = set(threading.enumerate())
    asyncio.run(main())
    wait_for_other_threads(before)


def test_a_timeout_cancels_a_call(map_it: Any) -> None:
    async def task(item: int) -> int:
        if item == 1:
            await asyncio.Event().wait()
        return item

    first, error, third = asyncio.run(map_it(task, range(3), max_workers=1, timeout=0.2))
    assert (first, third) == (0, 2)
    assert isinstance(error, parallel.TaskTimeoutError)
    assert not error.running


def test_a_call_that_blocks_the_callers_loop_is_named(map_it: Any) -> None:
    release = threading.Event()
    threading.Timer(1.5, release.set).start()

    async def task(item: int) -> int:
        if item == 1:
            release.wait(60)
            await asyncio.Event().wait()
        return item

    results = asyncio.run(map_it(task, range(50), max_workers=1, timeout=0.4))
    (error,) = [result for result in results if not isinstance(result, int)]
    assert [*results[:1], *results[2:]] == [0, *range(2, 50)]
    assert "It blocks the event loop" in str(error)
    wait_until(lambda: not error.running)


def test_on_complete_is_called_in_the_loop(map_it: Any) -> None:
    threads: set[int] = set()

    async def task(item: int) -> int:
        return item

    def tell(index: int, item: int, result: int) -> None:
        threads.add(threading.get_ident())
        if index == 30:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        asyncio.run(map_it(task, range(40), on_complete=tell))
    assert threads == {threading.get_ident()}


def test_no_thread_waits_for_a_callback_in_a_loop_that_is_closed() -> None:
    before = set(threading.enumerate())
    loop = asyncio.new_event_loop()

    async def task(item: int) -> int:
        return item

    def tell(index: int, item: int, result: int) -> None:
        loop.stop()

    mapped = loop.create_task(parallel.aiomap(task, range(40), on_complete=tell))
    with pytest.raises(RuntimeError, match="loop stopped"):
        loop.run_until_complete(mapped)
    loop.close()
    wait_for_other_threads(before)
    del mapped
    gc.collect()  # which would warn of a coroutine that waits for something when it is freed


def test_aiomap_is_a_list_like_any_other() -> None:
    async def task(item: int) -> int:
        if item == 5:
            cancel.set()
            await asyncio.Event().wait()
        return item

    cancel = threading.Event()
    results: Any = asyncio.run(parallel.aiomap(task, range(9), 1, cancel=cancel))
    assert results[:5] == list(range(5))
    assert {type(result) for result in results[5:]} == {parallel.TaskCancelledError}
    with pytest.raises(parallel.TaskCancelledError, match="cancel was set"):
        asyncio.run(parallel.aiomap(task, range(9), cancel=cancel, on_error="raise"))
    with pytest.raises(ValueError, match="first"):
        asyncio.run(parallel.aiomap(_fail, range(9), on_error="raise"))


async def _fail(_: int) -> None:
    raise ValueError("first")


def test_leaving_a_stream_ends_its_calls() -> None:
    async def main() -> None:
        async def task(item: int) -> int:
            await asyncio.sleep(0.001)
            return item

        async with aclosing(parallel.aimap(task, itertools.count())) as stream:
            async for item in stream:
                if item == 500:
                    break
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


def test_serial_mode_runs_one_call_at_a_time_there(map_it: Any) -> None:
    async def main() -> None:
        loop, in_flight = asyncio.get_running_loop(), 0

        async def task(item: int) -> int:
            nonlocal in_flight
            in_flight += 1
            await asyncio.sleep(0)
            assert (in_flight, asyncio.get_running_loop()) == (1, loop)
            in_flight -= 1
            return item

        with parallel.serial():
            assert await map_it(task, range(20), on_error="raise") == list(range(20))

    asyncio.run(main())


def test_eager_tasks_do_as_well(map_it: Any) -> None:
    factory = getattr(asyncio, "eager_task_factory", None)
    if factory is None:
        pytest.skip("needs Python 3.12")

    async def main() -> list[Any]:
        asyncio.get_running_loop().set_task_factory(factory)

        async def task(item: int) -> int:
            return item

        results: list[Any] = await map_it(task, range(500), max_workers=5)
        return results

    assert asyncio.run(main()) == list(range(500))
