"""Tasks that fail: what an exception in its slot costs."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial

from metainformant.core import parallel

from ..harness.workload import Contender, Group, Workload
from ..peers import ours
from ..peers.table import peers
from ..peers.threads import FAILURES
from ..tasks import positive

_COUNT, _WORKERS = 10_000, 8


def failing(count: int, percent: int) -> list[int]:
    """Numbers of which so many are negative, evenly spread."""
    return [
        -1 if number * percent // 100 != (number + 1) * percent // 100 else number
        for number in range(count)
    ]


def _loop(items: list[int]) -> list[object]:
    found: list[object] = []
    for item in items:
        try:
            found.append(positive(item))
        except Exception as error:
            found.append(error)
    return found


def _build(percent: int, _: ExitStack) -> list[Contender]:
    items = failing(_COUNT, percent)
    return [
        Contender("plain loop", "limit", partial(_loop, items)),
        ours.ours(partial(parallel.thread_map, positive, items, _WORKERS)),
        *peers(FAILURES, positive, items, _WORKERS),
    ]


GROUP = Group(
    "failures",
    "Failures",
    [
        Workload(
            f"failures-{percent}",
            f"{percent} % of {_COUNT:,} no-ops fail, {_WORKERS} threads",
            partial(_build, percent),
            seconds=6,
            limit="a plain loop with `try` and `except`",
            expected=(_COUNT, _COUNT * percent // 100),
        )
        for percent in (0, 1, 33, 100)
    ],
    "Each failure must be in its item's slot and disturb no other. metainformant also adds a note "
    "that names the item. multiprocessing.pool can do this item by item only, with `imap`.",
)
