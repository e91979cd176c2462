"""What a single item waits for: imports, the start of workers, and the first result."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Any

from metainformant.core import parallel

from ..harness.workload import Contender, Group, Unable, Workload
from ..peers import ours, processes
from ..peers.table import Table, peers
from ..peers.threads import MAPS, STREAMS
from ..tasks import same
from .timeouts import python

_MODULES = (
    "concurrent.futures.thread",
    "multiprocessing.pool",
    "joblib",
    "loky",
    "mpire",
    "pebble",
    "tqdm.contrib.concurrent",
)


def _one_item(_: ExitStack) -> list[Contender]:
    return [
        ours.plain_loop(same, [1]),
        ours.ours(partial(parallel.thread_map, same, [1])),
        *peers(MAPS, same, [1], 8),
    ]


def _importing(_: ExitStack) -> list[Contender]:
    return [
        Contender("python -c pass", "limit", python("pass")),
        ours.ours(python("import metainformant.core.parallel")),
        *(Contender(module, "peer", python(f"import {module}")) for module in _MODULES),
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


def _warm(stack: ExitStack) -> list[Contender]:
    make: Any = getattr(parallel, "Pool", None)
    pool = stack.enter_context(make(backend="process", max_workers=2))
    contenders = [ours.plain_loop(same, [1]), ours.ours(lambda: pool.map(same, [1]))]
    for peer in peers(processes.WARM, stack, same, 1, 2):
        start: Any = peer.run
        contenders.append(peer if isinstance(start, Unable) else replace(peer, run=start()))
    for contender in contenders:
        if not isinstance(contender.run, Unable):
            contender.run()  # pools start their processes when they get the first item
    return contenders


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
        Workload(
            "latency-warm-process",
            "One item through 2 processes that are already running",
            _warm,
            rounds=301,
            limit="the plain loop `list(map(f, items))`",
            note="The way there and back through bare pipes takes 10 to 25 us. Each call is a map "
            "of its own, with its own options; to check and set up all that takes about 60 us.",
            needs="Pool",
        ),
        Workload(
            "latency-import",
            "Import, as whole processes",
            _importing,
            rounds=15,
            seconds=10,
            limit="an interpreter that imports nothing",
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
