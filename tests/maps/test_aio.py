"""`aimap`: the same map, and a loop that is never blocked."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import aclosing

import pytest

from metainformant.core import parallel
from tests.support import wait_for_other_threads, wait_until


def test_results_come_in_order_and_failures_in_their_place() -> None:
    async def main() -> list[object]:
        return [result async for result in parallel.aimap(int, ["1", "x", "3"])]

    first, second, third = asyncio.run(main())
    assert (first, third) == (1, 3)
    assert isinstance(second, ValueError)


def test_many_items_and_all_options() -> None:
    calls: list[int] = []

    async def main() -> list[int]:
        loop_thread = threading.current_thread()

        def tell(index: int, item: int, result: int) -> None:
            assert threading.current_thread() is loop_thread
            calls.append(index)

        stream = parallel.aimap(
            lambda n: 1 // (n % 10), iter(range(2000)), on_error="skip", on_complete=tell
        )
        return [result async for result in stream]

    assert len(asyncio.run(main())) == len(calls) == 1800


def test_the_loop_is_never_blocked() -> None:
    turned, turned_again = threading.Event(), threading.Event()

    def numbers() -> Iterator[int]:
        yield 0
        assert turned.wait(30)  # a blocked input
        yield 1

    def task(number: int) -> int:
        if number:
            assert turned_again.wait(30)  # a slow task
        return number

    async def main() -> None:
        async def others() -> None:
            for event in (turned, turned_again):
                for _ in range(20):
                    await asyncio.sleep(0.001)
                event.set()

        beside = asyncio.create_task(others())
        assert [number async for number in parallel.aimap(task, numbers())] == [0, 1]
        await beside

    asyncio.run(main())


def test_cancelling_the_consumer_cancels_the_map() -> None:
    before = set(threading.enumerate())
    running, cancelled = threading.Event(), threading.Event()

    def task(number: int) -> int:
        current = parallel.current_task()
        assert current is not None
        if number == 3:
            running.set()
            wait_until(current.cancelled)
            cancelled.set()
        return number

    async def consume() -> None:
        async for _ in parallel.aimap(task, itertools.count(), chunk_size=1):
            pass

    async def main() -> None:
        consumer = asyncio.create_task(consume())
        while not running.is_set():
            await asyncio.sleep(0.001)
        consumer.cancel()
        with pytest.raises(asyncio.CancelledError):
            await consumer

    asyncio.run(main())
    assert cancelled.wait(30)
    wait_for_other_threads(before)


def test_leaving_early_stops_it() -> None:
    before = set(threading.enumerate())

    async def main() -> int:
        async with aclosing(parallel.aimap(abs, itertools.count())) as stream:
            async for number in stream:
                if number == 1000:
                    return number
        return -1

    assert asyncio.run(main()) == 1000
    wait_for_other_threads(before)


def test_the_loop_has_its_turns_when_results_are_always_there() -> None:
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    async def main() -> None:
        beside = asyncio.create_task(others())
        stream = parallel.aimap(abs, itertools.count())
        async with aclosing(stream):
            await anext(stream)
            before = turns
            # The consumer is the slow one, so it never has to wait for anything.
            for _ in range(300):
                time.sleep(0.001)
                await anext(stream)
        assert turns - before >= 20
        beside.cancel()

    asyncio.run(main())


@pytest.mark.parametrize("buffer_size", [4, None])
def test_a_stream_whose_loop_is_gone_ends_its_threads(buffer_size: int | None) -> None:
    """Nobody will ever close it: with a small buffer it stands still, with a large one it runs."""
    before = set(threading.enumerate())
    loop = asyncio.new_event_loop()
    stream = parallel.aimap(abs, itertools.count(), buffer_size=buffer_size)
    loop.run_until_complete(anext(stream))
    loop.close()
    del stream
    wait_for_other_threads(before)


def test_what_the_input_raises_comes_after_what_was_before() -> None:
    def numbers() -> Iterator[int]:
        yield from range(3)
        raise OSError("disk gone")

    seen: list[object] = []

    async def main() -> None:
        async for number in parallel.aimap(abs, numbers()):
            seen.append(number)  # noqa: PERF401

    with pytest.raises(OSError, match="disk gone"):
        asyncio.run(main())
    assert seen == [0, 1, 2]
