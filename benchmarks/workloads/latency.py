"""What a single item waits for: imports, the start of workers, and the first result."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Any

from metainformant.core import parallel

from ..harness.workload import Contender, Group, Run, Unable, Workload
from ..peers import ours, processes, scripts
from ..peers.table import Table, peers
from ..peers.threads import MAPS, STREAMS
from ..tasks import same


def _one_item(_: ExitStack) -> list[Contender]:
    return [
        ours.plain_loop(same, [1]),
        ours.ours(partial(parallel.thread_map, same, [1])),
        *peers(MAPS, same, [1], 8),
    ]


def one_item_script(_: ExitStack, only: Collection[str] = ()) -> list[Contender]:
    return [
        scripts.empty_interpreter(),
        ours.ours(scripts.whole_process(scripts.ONE_ITEM_OURS)),
        *peers(scripts.whole(scripts.ONE_ITEM), only=only),
    ]


def _nap(item: int) -> int:
    time.sleep(0.02)
    return item


def _until_first(stream: Callable[..., Any]) -> float:
    """Seconds until the first of many results. What ending the stream takes is not counted."""
    results = stream(_nap, iter(range(1000)), 8, 1)
    began = time.perf_counter()
    next(results)
    took = time.perf_counter() - began
    results.close()
    return took


def _first_result(_: ExitStack) -> list[Contender]:
    def one_task() -> float:
        began = time.perf_counter()
        _nap(0)
        return time.perf_counter() - began

    def imap(func: Callable[[int], int], items: Iterator[int], *_: int) -> Any:
        return parallel.imap(func, items)

    first: Table = {
        name: stream if isinstance(stream, Unable) else partial(_until_first, stream)
        for name, stream in STREAMS.items()
    }
    return [
        Contender("one task", "limit", one_task),
        ours.ours(partial(_until_first, imap)),
        *peers(first),
    ]


def warm(trips: int, pause: float, stack: ExitStack, only: Collection[str] = ()) -> list[Contender]:
    """Contenders that measure the mean of so many round trips in a row, after a pause."""

    def trip(run: Run) -> Run:
        def repeat() -> float:
            time.sleep(pause)
            began = time.perf_counter()
            for _ in range(trips):
                run()
            return (time.perf_counter() - began) / trips

        return repeat

    # The pipe comes first: its process must not inherit the pipes of the pools.
    bare = Contender("bare pipe", "limit", trip(processes.bare_pipe(stack, 1)))
    pool = stack.enter_context(parallel.Pool(backend="process", max_workers=2))
    contenders = [bare, ours.ours(trip(lambda: pool.map(same, [1])))]
    for peer in peers(processes.WARM, stack, same, 1, 2, only=only):
        start: Any = peer.run
        contenders.append(peer if isinstance(start, Unable) else replace(peer, run=trip(start())))
    for contender in contenders:
        if not isinstance(contender.run, Unable):
            contender.run()  # pools start their processes when they get the first item
    return contenders


def _warm_pools(name: str, title: str, build: Callable[[ExitStack], list[Contender]]) -> Workload:
    return Workload(
        name,
        title,
        build,
        rounds=301,
        own=True,
        limit="a bare pipe to a process that sends back what it gets",
        note="Each call of metainformant is a map of its own, with its own options.",
        needs="Pool",
    )


GROUP = Group(
    "latency",
    "Latency",
    [
        Workload(
            "latency-one",
            "One call with one item",
            _one_item,
            rounds=301,
            limit="the plain loop `list(map(f, items))`",
            note="Starting and joining a thread that does nothing takes more than half of what "
            "the first two take.",
        ),
        _warm_pools(
            "latency-warm-process",
            "One item to 2 warm processes and back, 20 times in a row, per item",
            partial(warm, 20, 0.0),
        ),
        _warm_pools(
            "latency-rested-process",
            "One item to 2 warm processes and back, after a pause of 10 ms",
            partial(warm, 1, 0.01),
        ),
        Workload(
            "latency-script",
            "Import and one call with one item, as whole processes",
            one_item_script,
            rounds=51,
            seconds=20,
            limit="an interpreter that imports nothing",
            note="Each round is a fresh interpreter, from its start to its exit.",
        ),
        Workload(
            "latency-first",
            "First result of 1,000 tasks of 20 ms in a stream, 8 threads",
            _first_result,
            rounds=21,
            own=True,
            limit="one task",
        ),
    ],
)
