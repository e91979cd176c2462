"""Tasks that do nothing: what a map costs by itself, as the work grows."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial

from metainformant.core import parallel

from ..harness.workload import Contender, Group, Workload
from ..peers import ours
from ..peers.table import STANDARD, peers
from ..peers.threads import TINY_MAPS
from ..tasks import same

_WORKERS = 8


def _build(count: int, _: ExitStack) -> list[Contender]:
    items = list(range(count))

    def probe(share: int) -> tuple[object, ...]:
        return same, items[::share], _WORKERS

    unordered = partial(parallel.thread_map_unordered, same, items, _WORKERS)
    return [
        ours.plain_loop(same, items),
        *ours.threads(same, items, _WORKERS),
        ours.ours(unordered, "unordered"),
        *peers(TINY_MAPS, same, items, _WORKERS, probe=probe if count > 100_000 else None),
    ]


def _tiny(count: int) -> Workload:
    return Workload(
        f"tiny-{count}",
        f"No-op, {count:,} items, {_WORKERS} threads",
        partial(_build, count),
        rounds=101 if count <= 1000 else 25,
        seconds=15 if count >= 100_000 else 6,
        limit="the plain loop `list(map(f, items))`",
        x=count,
        note=_NOTES.get(count, ""),
    )


def _free_threaded(_: ExitStack) -> list[Contender]:
    items = list(range(1_000_000))

    def probe(share: int) -> tuple[object, ...]:
        return same, items[::share], 2

    return [
        ours.plain_loop(same, items),
        *ours.threads(same, items, 2),
        *peers(TINY_MAPS, same, items, 2, only=STANDARD, probe=probe),
    ]


_NOTES = {
    100: "Starting and joining eight threads that do nothing takes about as long as this.",
    1_000_000: "A plain append per item, which makes timeouts and balancing possible, costs "
    "about as much more than `list(map(...))` as a pool loses elsewhere.",
    10_000_000: "Besides the appends, the input is copied first, so that it may change meanwhile: "
    "4 to 8 ns an item.",
}

GROUP = Group(
    "tiny",
    "Tiny tasks",
    [
        *(_tiny(10**power) for power in range(2, 8)),
        Workload(
            "tiny-free-threaded",
            "No-op, 1,000,000 items, 2 threads, without the GIL",
            _free_threaded,
            seconds=15,
            limit="the plain loop `list(map(f, items))`",
            note="With the standard library's pools only: nothing else is installed there.",
            free_threaded=True,
        ),
    ],
    "A peer that would take more than 8 seconds for one round, by what it took for a part of the "
    "items, is left out. pebble gets chunks of the size that multiprocessing.pool chooses by "
    "itself; concurrent.futures has no chunks for threads.",
)
