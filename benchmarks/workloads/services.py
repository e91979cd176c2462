"""Requests to a server, and limits on how often it may be asked."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import random
import threading
import time
from bisect import bisect_left
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any

from metainformant.core import parallel

from ..harness.workload import Contender, Facts, Group, Workload
from ..peers import ours
from ..peers.table import peers
from ..peers.threads import MAPS, bare_threads
from ..server import serving

_REQUESTS, _WORKERS, _DELAY = 5_000, 32, 0.005


def _fetcher(port: int) -> Callable[[int], str]:
    """A function that asks for one item, over a connection that its thread keeps."""
    here = threading.local()

    def fetch(item: int) -> str:
        connection: http.client.HTTPConnection | None = getattr(here, "connection", None)
        if connection is None:
            connection = here.connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.request("GET", f"/{item}")
        return connection.getresponse().read().decode()

    return fetch


def _requests(stack: ExitStack) -> list[Contender]:
    fetch = _fetcher(stack.enter_context(serving(str(_DELAY))))
    items = range(_REQUESTS)
    bare = partial(bare_threads, fetch, items, _WORKERS)
    return [
        Contender("bare threads on one iterator", "limit", bare),
        *ours.threads(fetch, items, _WORKERS),
        *peers(MAPS, fetch, items, _WORKERS),
    ]


class _BusyError(Exception):
    def __init__(self, after: float) -> None:
        super().__init__(f"429, again in {after} s")
        self.after = after


def _moody() -> dict[str, str]:
    count, quota = 10_000, 1000
    refused: dict[int, list[int]] = {}
    limit = parallel.RateLimit(quota)

    def fetch(port: int, item: int) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        try:
            connection.request("GET", f"/{item}")
            answer = connection.getresponse()
            body = answer.read().decode()
        finally:
            connection.close()
        if answer.status == 429:
            task = parallel.current_task()
            assert task is not None
            refused.setdefault(item, []).append(task.attempt)
            raise _BusyError(float(answer.headers["Retry-After"]))
        if answer.status != 200:
            raise OSError(answer.status)
        return body

    def backoff(attempt: int, error: BaseException) -> float:
        if not isinstance(error, _BusyError):
            return 0.05 * attempt
        limit.pause(error.after)
        return error.after

    with serving("0", "--quota", str(quota)) as port:
        began = time.perf_counter()
        results = list(
            parallel.imap(
                partial(fetch, port),
                range(count),
                max_workers=_WORKERS,
                timeout=0.5,
                retries=10,
                backoff=backoff,
                rate=limit,
            )
        )
        took = time.perf_counter() - began
    right = sum(result == f"item {item}" for item, result in enumerate(results))
    twice = sum(
        any(b == a + 1 for a, b in itertools.pairwise(attempts)) for attempts in refused.values()
    )
    return {
        "right results": f"{right:,}",
        "requests refused over the quota": str(sum(map(len, refused.values()))),
        "items that were refused twice in a row": str(twice),
        "time": f"{took:.1f} s",
    }


def _rate() -> dict[str, str]:
    starts: list[float] = []
    chance = random.Random(1)

    def task(item: int) -> int:
        starts.append(time.monotonic())
        if chance.random() < 0.2:
            raise OSError
        time.sleep(chance.random() * 0.05)
        return item

    stream: Any = parallel.imap(
        task, itertools.count(), max_workers=16, rate=200, retries=3, backoff=0.05, deadline=5.0
    )
    with contextlib.suppress(parallel.TaskCancelledError):
        for _ in stream:
            pass
    starts.sort()
    most = max(bisect_left(starts, at + 1) - number for number, at in enumerate(starts))
    mean = (len(starts) - 1) / (starts[-1] - starts[0])
    return {"most starts in any second": str(most), "mean rate": f"{mean:.2f} /s"}


GROUP = Group(
    "services",
    "Services",
    [
        Workload(
            "requests",
            f"{_REQUESTS:,} requests to a local HTTP server, {_WORKERS} threads",
            _requests,
            rounds=3,
            seconds=15,
            limit="bare threads, without results, errors or order",
            note=f"The server runs in a process of its own and answers after {1000 * _DELAY:g} ms. "
            "Each thread keeps its connection.",
        ),
        Facts(
            "requests-moody",
            "10,000 requests to a server with stalls, resets and a quota",
            _moody,
            note="The server accepts 1,000 requests per second, lets 2 % of them stall and resets "
            "5 %; the map has 32 threads, `rate=1000`, `timeout=0.5` and 10 retries. The other "
            "libraries have no rate, no retries and no timeout for a thread.",
        ),
        Facts(
            "rate",
            "rate=200 for 5 s, 16 threads, 20 % of the tasks fail and are retried",
            _rate,
        ),
    ],
)
