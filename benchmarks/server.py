"""An HTTP server on this machine, to be asked by thousands of requests.

`python -m benchmarks.server DELAY` answers each after so many seconds. With `--quota N` it behaves
like a busy public service: of 100 requests it stalls in 2, resets 5, and it refuses what is over N
in any second.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import subprocess
import sys
import time
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager

from .harness.runner import ROOT


class _Server:
    def __init__(self, delay: float, quota: int | None) -> None:
        self._delay = delay
        self._quota = quota
        self._chance = random.Random(1)
        self._window: list[float] = []  # when the requests of the last second were accepted

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                item = head.split()[1].decode().strip("/")
                if self._quota is None:
                    await asyncio.sleep(self._delay)
                    answer = _answer("200 OK", f"item {item}")
                else:
                    answer = await self._moody(item, self._quota)
                writer.write(answer)
                await writer.drain()
        except _ResetError:
            writer.transport.abort()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _moody(self, item: str, quota: int) -> bytes:
        luck = self._chance.random()
        if luck < 0.02:
            await asyncio.sleep(2)
        elif luck < 0.07:
            raise _ResetError
        now = time.monotonic()
        del self._window[: bisect_right(self._window, now - 1)]
        if len(self._window) >= quota:
            wait = self._window[0] + 1 - now
            return _answer("429 Too Many Requests", "", f"Retry-After: {wait:.4f}\r\n")
        self._window.append(now)
        return _answer("200 OK", f"item {item}")


class _ResetError(Exception):
    pass


def _answer(status: str, body: str, more: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{more}\r\n{body}".encode()


@contextmanager
def serving(*args: str) -> Iterator[int]:
    """A server in a process of its own; its port."""
    command = [sys.executable, "-m", "benchmarks.server", *args]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        with server.stdout:
            yield int(server.stdout.readline())
    finally:
        server.kill()
        server.wait()


async def _main(delay: float, quota: int | None) -> None:
    server = await asyncio.start_server(_Server(delay, quota).serve, "127.0.0.1", 0, backlog=1000)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("delay", type=float)
    parser.add_argument("--quota", type=int)
    chosen = parser.parse_args()
    asyncio.run(_main(chosen.delay, chosen.quota))
