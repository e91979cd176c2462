"""Reports: what it costs to record a run, and to write its page."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from metainformant.core import parallel

from ..harness.workload import Contender, Group, Workload
from ..peers import ours
from ..tasks import nap, same

_WORKERS = 8
_MILLION = range(1_000_000)
_NEEDS = "report="
_WITHOUT = "the same `thread_map` without a report"


def _recording(count: int, stack: ExitStack) -> list[Contender]:
    func, items = (same, list(_MILLION)) if count == len(_MILLION) else (nap, list(range(count)))
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))

    def recorded() -> object:
        return parallel.thread_map(func, items, _WORKERS, report=parallel.Report())

    def traced() -> object:
        return parallel.thread_map(func, items, _WORKERS, trace=folder / "run.json.gz")

    return [
        Contender(
            f"{ours.NAME}, no report", "limit", partial(parallel.thread_map, func, items, _WORKERS)
        ),
        ours.ours(recorded),
        ours.ours(traced, "trace"),
    ]


def _page(stack: ExitStack) -> list[Contender]:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
    report = parallel.Report()
    parallel.thread_map(same, list(_MILLION), _WORKERS, report=report)
    return [ours.ours(partial(report.save, folder / "run.html"))]


GROUP = Group(
    "reports",
    "Reports",
    [
        Workload(
            "report-tiny",
            f"No-op, {len(_MILLION):,} items, {_WORKERS} threads, with a report",
            partial(_recording, len(_MILLION)),
            seconds=15,
            limit=_WITHOUT,
            needs=_NEEDS,
        ),
        Workload(
            "report-sleeps",
            f"Sleep 1 ms, 4,000 items, {_WORKERS} threads, with a report",
            partial(_recording, 4000),
            rounds=5,
            seconds=15,
            limit=_WITHOUT,
            needs=_NEEDS,
        ),
        Workload(
            "report-page",
            f"The page of a run of {len(_MILLION):,} items",
            _page,
            needs=_NEEDS,
        ),
    ],
    "What was recorded has the same size for any number of items, and so has its page.",
)
