"""A few tasks that take much longer than the others, where they hurt more or less."""

from __future__ import annotations

import time
from contextlib import ExitStack
from functools import partial

from ..harness.workload import Contender, Group, Workload
from ..peers import ours
from ..peers.table import peers
from ..peers.threads import MAPS

_SHORT, _LONG = 0.002, 0.5
_COUNT, _WORKERS = 4_000, 8
_SPREAD = (_COUNT * _SHORT + 2 * _LONG) / _WORKERS


def naps(where: str, count: int = _COUNT, long: float = _LONG) -> list[float]:
    """Short naps, and two long ones first, within (at a third and two thirds), or last."""
    places = {"first": (0, 0), "within": (count // 3, 2 * count // 3), "last": (count, count)}
    found = [_SHORT] * count
    for place in reversed(places[where]):
        found.insert(place, long)
    return found


def _build(where: str, _: ExitStack) -> list[Contender]:
    items = naps(where)
    return [*ours.threads(time.sleep, items, _WORKERS), *peers(MAPS, time.sleep, items, _WORKERS)]


def _skew(where: str, ideal: float, limit: str) -> Workload:
    return Workload(
        f"skew-{where}",
        f"{_COUNT:,} sleeps of 2 ms, two of 0.5 s {where}, {_WORKERS} threads",
        partial(_build, where),
        rounds=3,
        limit=limit,
        ideal=ideal,
    )


GROUP = Group(
    "skew",
    "Skewed durations",
    [
        _skew("first", _SPREAD, "the ideal schedule"),
        _skew("within", _SPREAD, "the ideal schedule"),
        _skew(
            "last",
            _COUNT * _SHORT / _WORKERS + _LONG,
            "the ideal schedule of those that start items in input order",
        ),
    ],
)
