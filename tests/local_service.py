"""A service on this machine that stalls, resets, refuses and limits, as those elsewhere do."""

from __future__ import annotations

import asyncio
import collections
import random
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

# Seconds that a call takes on average.
CALL = 0.1


class LocalService:
    """Answers `GET /KIND/NUMBER` with the number, after what the kind of path says.

    genes: of ten numbers, the first call of one is refused for 0.05 s, that of another one reset,
        and that of a third one never answered.
    at-once-N: N calls at a time, others are refused with 503.
    per-second-N: N calls per second, others are refused with 429.
    knee-N: N calls at a time, others wait for their turn.
    plain: answered at once.

    Attributes:
        url: where it is.
        calls: how many there were of each path.
        refused: how many were refused.
        most: how many were in flight at a time.
        connections: how many were opened.
    """

    def __init__(self) -> None:
        # Owned by the thread of the event loop; read by tests when nothing is called.
        self.url = ""
        self.calls: collections.Counter[str] = collections.Counter()
        self.refused = 0
        self.most = 0
        self.connections = 0
        self._in_flight = 0
        self._random = random.Random(1)
        self._tokens = 5.0
        self._at = time.monotonic()
        self._turns: dict[int, asyncio.Semaphore] = {}
        self._tasks: set[asyncio.Task[None] | None] = set()

    @contextmanager
    def running(self) -> Iterator[LocalService]:
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, name="local service")
        thread.start()
        server = asyncio.run_coroutine_threadsafe(self._start(), loop).result(30)
        try:
            yield self
        finally:
            asyncio.run_coroutine_threadsafe(self._stop(server), loop).result(30)
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

    async def _start(self) -> asyncio.Server:
        server = await asyncio.start_server(self._serve, "127.0.0.1", backlog=512)
        host, port = server.sockets[0].getsockname()
        self.url = f"http://{host}:{port}"
        return server

    async def _stop(self, server: asyncio.Server) -> None:
        server.close()
        for task in self._tasks:
            if task is not None:
                task.cancel()
        await asyncio.gather(*filter(None, self._tasks), return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        self._tasks.add(task)
        self.connections += 1
        try:
            while request := await reader.readline():
                while (await reader.readline()).strip():
                    pass
                await self._answer(request.split()[1].decode(), writer)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            self._tasks.discard(task)

    async def _answer(self, path: str, writer: asyncio.StreamWriter) -> None:
        self.calls[path] += 1
        self._in_flight += 1
        self.most = max(self.most, self._in_flight)
        try:
            _, kind, number = path.split("/")
            status, headers = await self._status(kind, int(number), writer, self.calls[path])
        finally:
            self._in_flight -= 1
        self.refused += status in (429, 503)
        body = number.encode()
        head = f"HTTP/1.1 {status} -\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
        writer.write(head.encode() + body)
        await writer.drain()

    async def _work(self) -> None:
        """Take as long as a call takes: no two take the same time, or all would start together."""
        await asyncio.sleep(CALL * self._random.uniform(0.8, 1.2))

    async def _status(
        self, kind: str, number: int, writer: asyncio.StreamWriter, calls: int
    ) -> tuple[int, str]:
        name, _, limit = kind.rpartition("-")
        if kind == "genes" and calls == 1:
            if number % 10 == 3:
                return 429, "Retry-After: 0.05\r\n"
            if number % 10 == 5:
                _reset(writer)
                raise OSError
            if number % 10 == 7:
                await asyncio.sleep(3600)
        elif name == "at-once":
            if self._in_flight > int(limit):
                return 503, ""
            await self._work()
        elif name == "per-second":
            now = time.monotonic()
            self._tokens = min(5, self._tokens + (now - self._at) * int(limit))
            self._at = now
            if self._tokens < 1:
                return 429, ""
            self._tokens -= 1
            await self._work()
        elif name == "knee":
            async with self._turns.setdefault(int(limit), asyncio.Semaphore(int(limit))):
                await self._work()
        return 200, ""


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close a connection such that the other side sees a reset."""
    connection: socket.socket = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
