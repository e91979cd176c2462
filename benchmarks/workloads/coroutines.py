"""Async functions: many that wait, and many that need not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any

from metainformant.core import parallel

from ..harness.workload import Contender, Group, Workload
from ..peers import ours
from ..peers.coroutines import MAPS, bare_tasks
from ..peers.table import peers

_NAP, _NAPS, _SLEEPERS = 0.05, 10_000, 1_000
_TINY, _WORKERS = 100_000, 100


async def _sleep(item: int) -> int:
    await asyncio.sleep(_NAP)
    return item


async def _same(item: int) -> int:
    return item


def _build(func: Callable[[int], Any], count: int, workers: int, _: ExitStack) -> list[Contender]:
    items = range(count)

    def probe(parts: int) -> tuple[Any, ...]:
        return func, range(count // parts), workers

    run = partial(parallel.async_map, func, items, workers)
    bare = partial(bare_tasks, func, items, workers)
    return [
        Contender("bare tasks on one iterator", "limit", bare),
        ours.ours(run),
        ours.ours(partial(run, timeout=30), "timeout=30"),
        *peers(MAPS, func, items, workers, probe=probe),
    ]


GROUP = Group(
    "coroutines",
    "Async functions",
    [
        Workload(
            "coroutines-sleep",
            f"`asyncio.sleep({_NAP})`, {_NAPS:,} items, {_SLEEPERS:,} at a time",
            partial(_build, _sleep, _NAPS, _SLEEPERS),
            rounds=9,
            limit="the ideal schedule",
            ideal=_NAP * _NAPS / _SLEEPERS,
            needs="async_map",
        ),
        Workload(
            "coroutines-tiny",
            f"Async functions that do nothing, {_TINY:,} items, {_WORKERS} at a time",
            partial(_build, _same, _TINY, _WORKERS),
            rounds=9,
            limit="bare tasks on one iterator",
            needs="async_map",
        ),
    ],
    "Bare tasks that share an iterator, without errors or limits: what an event loop can reach.",
)
