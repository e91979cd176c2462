"""A server made with aiohttp, on this machine, whose answers are limited as those of services are.

`python -m benchmarks.limited_server` answers `GET /KIND/NUMBER` with the number.
"""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from .harness.runner import ROOT

CALL = 0.1  # seconds that a call takes on average where a limit is to be found


class _Limits:
    """The kinds of answers.

    Owned by the thread of the event loop.

    plain: at once.
    at-once-N: N calls at a time, others are refused with 503.
    per-second-N: N calls per second, others are refused with 429.

    knee-N: N calls at a time, others wait for their turn.
    refused: how many calls were refused so far, and how many were in flight at most.
    """

    def __init__(self) -> None:
        self._chance = random.Random(1)
        self._in_flight = self._most = self._refused = 0
        self._tokens, self._at = 5.0, time.monotonic()
        self._turns: dict[int, asyncio.Semaphore] = {}

    async def answer(self, kind: str) -> int:
        """Return the status of an answer."""
        self._in_flight += 1
        self._most = max(self._most, self._in_flight)
        try:
            name, _, limit = kind.rpartition("-")
            if not name:
                return 200
            status = await self._limited(name, int(limit))
        finally:
            self._in_flight -= 1
        self._refused += status != 200
        return status

    async def _limited(self, name: str, limit: int) -> int:
        now = time.monotonic()
        if name == "knee":
            async with self._turns.setdefault(limit, asyncio.Semaphore(limit)):
                await self._work()
            return 200
        if name == "at-once" and self._in_flight > limit:
            return 503
        if name == "per-second":
            self._tokens = min(5.0, self._tokens + (now - self._at) * limit)
            self._at = now
            if self._tokens < 1:
                return 429
            self._tokens -= 1
        await self._work()
        return 200

    async def _work(self) -> None:
        await asyncio.sleep(CALL * self._chance.uniform(0.8, 1.2))

    def told(self) -> str:
        """Return what there was since this was asked last."""
        told = f"{self._refused} {self._most}"
        self._refused = self._most = 0
        return told


@contextmanager
def serving() -> Iterator[str]:
    """A server in a process of its own; its address."""
    command = [sys.executable, "-m", "benchmarks.limited_server"]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        with server.stdout:
            yield f"http://127.0.0.1:{int(server.stdout.readline())}"
    finally:
        server.kill()
        server.wait()


async def _main() -> None:
    web: Any = import_module("aiohttp.web")  # installed only where benchmarks are run
    limits = _Limits()

    async def answer(request: Any) -> Any:
        kind = request.match_info["kind"]
        if kind == "refused":
            return web.Response(text=limits.told())
        return web.Response(status=await limits.answer(kind), text=request.match_info["number"])

    app = web.Application()
    app.router.add_get("/{kind}/{number}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=1000).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main())
