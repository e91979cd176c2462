"""Checkpoints: what it costs to keep every result on disk, and to read them again."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from metainformant.core import parallel

from ..harness.runner import ROOT
from ..harness.workload import Contender, Group, Unable, Workload
from ..peers import ours
from ..peers.checkpoints import CHECKPOINTS
from ..peers.table import Adapter, Table, peers
from ..tasks import blob, nap, same

_WORKERS = 8
_LARGE_ITEMS = 10_000
_SYNC_EVERY = 0.1  # seconds
_MILLION = range(1_000_000)
_NEEDS = "checkpoint="
_WITHOUT = "the same `thread_map` without a checkpoint"


def _folder(stack: ExitStack) -> Path:
    """Make a folder on the disk of this project: the system's own may be in memory."""
    parent = ROOT / ".cache"
    parent.mkdir(exist_ok=True)
    return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-", dir=parent)))


def _afresh(root: Path, run: Adapter, *args: Any) -> Any:
    """Begin without results. What earlier rounds wrote is deleted after the last one."""
    return run(*args, Path(tempfile.mkdtemp(dir=root)))


def _writing(
    func: Callable[[Any], Any], items: list[int], chunk: int, stack: ExitStack
) -> list[Contender]:
    root = _folder(stack)
    table: Table = {
        name: run if isinstance(run, Unable) else partial(_afresh, root, run)
        for name, run in CHECKPOINTS.items()
    }

    def probe(share: int) -> tuple[object, ...]:
        return func, items[::share], _WORKERS, chunk

    without = partial(parallel.thread_map, func, items, _WORKERS)
    return [
        Contender(f"{ours.NAME}, no checkpoint", "limit", without),
        ours.ours(partial(_afresh, root, ours.checkpointed, func, items, _WORKERS)),
        *peers(table, func, items, _WORKERS, chunk, probe=probe),
    ]


def _tiny(stack: ExitStack) -> list[Contender]:
    return _writing(same, list(_MILLION), 1000, stack)


def _naps(stack: ExitStack) -> list[Contender]:
    return _writing(nap, list(range(16_000)), 1, stack)


def _large(stack: ExitStack) -> list[Contender]:
    root = _folder(stack)
    items = range(_LARGE_ITEMS)

    def append(folder: Path) -> None:
        with (folder / "results").open("ab") as file:
            synced = time.monotonic()
            values: Any = parallel.imap(blob, items, max_workers=_WORKERS)
            for value in values:
                file.write(value)
                if time.monotonic() - synced >= _SYNC_EVERY:
                    file.flush()
                    os.fsync(file.fileno())
                    synced = time.monotonic()

    def checkpointed(folder: Path) -> None:
        for _ in parallel.imap(blob, items, max_workers=_WORKERS, checkpoint=folder / "results"):
            pass

    return [
        Contender("raw bytes appended to a file", "limit", partial(_afresh, root, append)),
        ours.ours(partial(_afresh, root, checkpointed)),
    ]


def _latency(rank: int, stack: ExitStack) -> list[Contender]:
    """Contenders that measure a percentile of the time from a task's end to its delivery."""
    root = _folder(stack)

    def delays(**options: Any) -> float:
        found = [
            time.time() - ((outcome.started or 0.0) + (outcome.seconds or 0.0))
            for outcome in parallel.outcomes(nap, range(4000), max_workers=_WORKERS, **options)
        ]
        return statistics.quantiles(found, n=100)[rank - 1]

    def checkpointed(folder: Path) -> float:
        return delays(checkpoint=folder / "results")

    return [
        Contender(f"{ours.NAME}, no checkpoint", "limit", delays),
        ours.ours(partial(_afresh, root, checkpointed)),
    ]


def _resuming(stack: ExitStack) -> list[Contender]:
    items = list(_MILLION)
    mine, theirs = _folder(stack), _folder(stack)
    contenders = [
        ours.ours(partial(ours.checkpointed, same, items, _WORKERS, mine)),
        *peers(_QUICKLY_FILLED, same, items, _WORKERS, 1000, theirs),
    ]
    for contender in contenders:
        if not isinstance(contender.run, Unable):
            contender.run()
    return contenders


_SLOWLY_FILLED = Unable("left out: it takes more than half a minute to write them first")
_QUICKLY_FILLED: Table = {
    name: run if name == "JSON Lines" else _SLOWLY_FILLED for name, run in CHECKPOINTS.items()
}

GROUP = Group(
    "checkpoints",
    "Checkpoints",
    [
        Workload(
            "checkpoint-tiny",
            f"No-op, {len(_MILLION):,} items, {_WORKERS} threads, every result kept on disk",
            _tiny,
            rounds=5,
            seconds=30,
            limit=_WITHOUT,
            needs=_NEEDS,
        ),
        Workload(
            "checkpoint-sleeps",
            f"Sleep 1 ms, 16,000 items, {_WORKERS} threads, every result kept on disk",
            _naps,
            rounds=5,
            seconds=30,
            limit=_WITHOUT,
            needs=_NEEDS,
        ),
        Workload(
            "checkpoint-large",
            f"{_LARGE_ITEMS:,} results of 100 kB, {_WORKERS} threads, a stream",
            _large,
            rounds=3,
            seconds=60,
            limit="the same stream, whose caller appends the bytes, with one fsync per 0.1 s",
            needs=_NEEDS,
        ),
        *(
            Workload(
                f"checkpoint-{name}",
                f"{which} of the time from a task's end to its delivery by a stream; "
                f"sleep 1 ms, 4,000 items, {_WORKERS} threads",
                partial(_latency, rank),
                rounds=5,
                seconds=15,
                own=True,
                limit="the same stream without a checkpoint",
                needs=_NEEDS,
            )
            for name, which, rank in (("median", "Median", 50), ("p99", "99th percentile", 99))
        ),
        Workload(
            "checkpoint-resume",
            f"{len(_MILLION):,} results that are all on disk already, {_WORKERS} threads",
            _resuming,
            rounds=5,
            seconds=15,
            needs=_NEEDS,
        ),
    ],
    "Results are kept so that a run that was killed can be resumed. The others are used as their "
    "documents show: `joblib.Memory` and `diskcache.Cache.memoize` around the function, in a "
    "ThreadPool; a shelf, or a file of JSON Lines with one fsync per 0.1 s, which the caller fills "
    "from `ThreadPool.imap`. Shelf and JSON Lines may lose what was written last.",
)
