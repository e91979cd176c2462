"""Maps of async functions as people write them, and as libraries do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from .table import Table, library

AsyncFunction = Callable[..., Awaitable[Any]]


def bare_tasks(func: AsyncFunction, items: Sequence[Any], workers: int) -> list[Any]:
    """So many tasks on one iterator, without errors."""
    results: list[Any] = [None] * len(items)
    numbered = iter(enumerate(items))

    async def work() -> None:
        for index, item in numbered:
            results[index] = await func(item)

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(workers):
                group.create_task(work())

    asyncio.run(main())
    return results


def fixed_tasks(
    func: AsyncFunction, items: Sequence[Any], workers: int, client: Callable[[], Any]
) -> list[Any]:
    """The same for a function that shares a client, as its last argument."""
    results: list[Any] = [None] * len(items)
    numbered = iter(enumerate(items))

    async def work(shared: Any) -> None:
        for index, item in numbered:
            results[index] = await func(item, shared)

    async def main() -> None:
        async with client() as shared, asyncio.TaskGroup() as group:
            for _ in range(workers):
                group.create_task(work(shared))

    asyncio.run(main())
    return results


def gathered(
    func: AsyncFunction, items: Sequence[Any], workers: int, client: Callable[[], Any]
) -> list[Any]:
    """A task for each item that shares a client, and a semaphore that lets so many of them run."""

    async def main() -> list[Any]:
        permits = asyncio.Semaphore(workers)

        async def one(item: Any, shared: Any) -> Any:
            async with permits:
                return await func(item, shared)

        async with client() as shared:
            return await asyncio.gather(*(one(item, shared) for item in items))

    return asyncio.run(main())


def _semaphore(func: AsyncFunction, items: Sequence[Any], workers: int) -> list[Any]:
    """A task for each item, and a semaphore that lets so many of them run."""

    async def main() -> list[Any]:
        permits = asyncio.Semaphore(workers)

        async def one(item: Any) -> Any:
            async with permits:
                return await func(item)

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(item)) for item in items]
        return [task.result() for task in tasks]

    return asyncio.run(main())


def _aiometer(func: AsyncFunction, items: Sequence[Any], workers: int) -> Any:
    run_all = library("aiometer").run_all
    return asyncio.run(run_all([partial(func, item) for item in items], max_at_once=workers))


MAPS: Table = {"TaskGroup, semaphore": _semaphore, "aiometer": _aiometer}
