"""Reports: what it costs to record a run, and to write its page."""

from __future__ import annotations

import logging
import subprocess
import sys
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


# Reads the pages whose addresses it is told, and all their events.
_READER = """
import sys, urllib.request
for line in sys.stdin:
    page = line.strip()
    for address in (page, page.replace("/?", "/events?")):
        with urllib.request.urlopen(address) as answer:
            while answer.read(65536):
                pass
"""


class _Reader(logging.Handler):
    """A browser, as far as the server of a live page sees one."""

    def __init__(self, stack: ExitStack) -> None:
        super().__init__()
        self._process = stack.enter_context(
            subprocess.Popen([sys.executable, "-c", _READER], stdin=subprocess.PIPE, text=True)
        )
        stack.callback(self._process.kill)
        logger = logging.getLogger("metainformant.parallel")
        stack.callback(logger.setLevel, logger.level)
        stack.callback(logger.removeHandler, self)
        logger.setLevel(logging.INFO)
        logger.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        if hasattr(record, "live_page") and self._process.stdin is not None:
            print(record.live_page, file=self._process.stdin, flush=True)


def _live(stack: ExitStack) -> list[Contender]:
    """Return a map with a live page, and a client that reads all of it."""
    items = list(range(10_000))
    _Reader(stack)
    return [
        Contender(
            f"{ours.NAME}, no live page",
            "limit",
            partial(parallel.thread_map, nap, items, _WORKERS),
        ),
        ours.ours(partial(parallel.thread_map, nap, items, _WORKERS, live=True)),
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
            "report-live",
            f"Sleep 1 ms, 10,000 items, {_WORKERS} threads, with a live page that is open",
            _live,
            rounds=5,
            seconds=30,
            limit="the same `thread_map` without a page",
            note="A client in a process of its own reads the page and all its events.",
            needs="live=",
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
