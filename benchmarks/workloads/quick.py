"""A subset that takes seconds and needs nothing installed: see harness/gate.py."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any

from metainformant.core import parallel

from ..harness.workload import Contender, Workload
from ..peers import ours, processes, threads
from ..peers.table import STANDARD, Table, peers
from ..tasks import compute, positive, same
from . import latency
from .failures import failing
from .skew import naps
from .streams import drain, drained

_PATIENCE = 15.0
_POOL = ("multiprocessing.pool",)


def _threads(
    table: Table,
    func: Callable[[Any], Any],
    items: Any,
    workers: int,
    only: tuple[str, ...],
    _: ExitStack,
) -> list[Contender]:
    return [
        ours.ours(partial(parallel.thread_map, func, items, workers)),
        *peers(table, func, items, workers, only=only),
    ]


def _processes(
    table: Table, func: Callable[[Any], Any], items: Any, _: ExitStack
) -> list[Contender]:
    return [
        *ours.processes(func, items, 2),
        *peers(table, func, items, 2, only=STANDARD),
    ]


def _stream(_: ExitStack) -> list[Contender]:
    def source() -> Any:
        return iter(range(200_000))

    return [
        ours.ours(lambda: drain(parallel.imap(same, source(), max_workers=8))),
        *peers(drained(threads.STREAMS), same, source, 8, 1000, only=_POOL),
    ]


def _map(
    name: str,
    func: Callable[[Any], Any],
    items: Any,
    workers: int,
    table: Table = threads.MAPS,
    only: tuple[str, ...] = STANDARD,
    rounds: int = 25,
) -> Workload:
    title = f"{len(items):,} items, {workers} threads"
    build = partial(_threads, table, func, items, workers, only)
    return Workload(f"quick-{name}", title, build, rounds=rounds, seconds=3, patience=_PATIENCE)


# Where processes start, medians judge: that is as often lucky as it is unlucky.
def _process_map(name: str, func: Callable[[Any], Any], items: Any, table: Table) -> Workload:
    title = f"{len(items):,} items, 2 processes"
    build = partial(_processes, table, func, items)
    return Workload(
        f"quick-{name}",
        title,
        build,
        rounds=15,
        judge="median",
        seconds=4,
        patience=_PATIENCE,
        needs="process_map",
    )


WORKLOADS = [
    _map("tiny", same, range(200_000), 8, only=_POOL),
    _map("few", same, range(3_000), 8, only=("concurrent.futures",)),
    # With more threads than this, what the GIL does to all of them is what is measured.
    _map("sleeps", time.sleep, [0.001] * 1_600, 16),
    _map("skew", time.sleep, naps("last", 400, 0.1), 8, rounds=5),
    _map("failures", positive, failing(3_000, 33), 8, table=threads.FAILURES),
    _map("one", same, [1], 8, rounds=301),
    Workload("quick-stream", "200,000 items, 8 threads", _stream, seconds=3, patience=_PATIENCE),
    Workload(
        "quick-script",
        "One item, whole processes",
        partial(latency.one_item_script, only=("concurrent.futures",)),
        judge="median",
        seconds=4,
        patience=_PATIENCE,
    ),
    Workload(
        "quick-warm-process",
        "One item to 2 warm processes and back",
        partial(latency.warm, 20, 0.0, only=STANDARD),
        rounds=101,
        seconds=3,
        own=True,
        patience=_PATIENCE,
        needs="Pool",
    ),
    _process_map("process-tiny", same, range(100_000), processes.TINY_MAPS),
    _process_map("process-compute", compute, range(60), processes.MAPS),
]
