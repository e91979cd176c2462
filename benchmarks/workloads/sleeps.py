"""Tasks that wait: how much of what the workers could do is used."""

from __future__ import annotations

import time
from contextlib import ExitStack
from functools import partial

from metainformant.core import parallel

from ..harness.workload import Contender, Group, Unable, Workload
from ..peers import ours
from ..peers.table import peers
from ..peers.threads import MAPS, UNORDERED, bare_threads

_SHORT, _LONG = 0.001, 0.05
_SHORT_NAPS = {8: 4_000, 64: 20_000, 256: 20_000, 1000: 20_000}
_LONG_NAPS = {workers: 10 * workers for workers in _SHORT_NAPS}

_MANY = {**MAPS, "mpire": Unable("left out: took more than a minute a round when it was tried")}


def _build(nap: float, count: int, workers: int, _: ExitStack) -> list[Contender]:
    naps = [nap] * count
    bare = Contender(
        "bare threads on one iterator", "limit", partial(bare_threads, time.sleep, naps, workers)
    )
    return [
        bare,
        *ours.threads(time.sleep, naps, workers),
        *peers(MAPS if workers < 1000 else _MANY, time.sleep, naps, workers),
    ]


def _unordered(count: int, workers: int, _: ExitStack) -> list[Contender]:
    naps = [_SHORT] * count
    ordered = partial(parallel.thread_map, time.sleep, naps, workers)
    return [
        Contender(f"{ours.NAME}, thread_map", "limit", ordered),
        ours.ours(partial(parallel.thread_map_unordered, time.sleep, naps, workers)),
        *peers(UNORDERED, time.sleep, naps, workers),
    ]


def _sleeps(nap: float, count: int, workers: int) -> Workload:
    return Workload(
        f"sleeps-{1000 * nap:g}ms-{workers}",
        f"Sleep {1000 * nap:g} ms, {count:,} items, {workers:,} threads",
        partial(_build, nap, count, workers),
        rounds=9,
        limit="the ideal schedule",
        ideal=nap * count / workers,
        x=workers,
        note=_NOTES.get((nap, workers), ""),
    )


_NOTES = {
    (_SHORT, 64): "Where `time.sleep(0.001)` takes 1.1 ms, 1.10 is the least that any schedule can "
    "reach. What is lost beyond that is the start of the threads, while the first of them already "
    "contend for the GIL, and the last millisecond.",
    (_SHORT, 256): "Each of these sleeps takes the GIL for about 13 us, so that 80 threads are "
    "enough to keep it busy. metainformant starts a thread when there is work for it, so the later "
    "ones have to wait for the GIL to be started; a pool starts all of them before any has work.",
    (_SHORT, 1000): "As with 256 threads; and starting and joining a thousand threads that do "
    "nothing takes about 0.1 s. No threads come near this ideal.",
}

GROUP = Group(
    "sleeps",
    "Sleeps",
    [
        *(_sleeps(_SHORT, count, workers) for workers, count in _SHORT_NAPS.items()),
        *(_sleeps(_LONG, count, workers) for workers, count in _LONG_NAPS.items()),
        Workload(
            "sleeps-unordered",
            f"Sleep 1 ms, {_SHORT_NAPS[64]:,} items, 64 threads, results as they are completed",
            partial(_unordered, _SHORT_NAPS[64], 64),
            rounds=15,
            seconds=30,
            limit="`thread_map`, with results in the order of the items",
        ),
    ],
    "The ideal schedule is the sum of the sleeps over the number of workers: no thread takes time "
    "to start, and none ever waits for the GIL. Bare threads that share an iterator, without "
    "results, errors or order, are what threads can reach.",
)
