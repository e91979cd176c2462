"""Requests by async clients of HTTP, and a number of calls at a time that is found out."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from importlib.util import find_spec
from typing import Any

from metainformant.core import parallel

from ..harness.workload import Contender, Facts, Group, Unable, Workload
from ..limited_server import CALL, serving
from ..peers import ours
from ..peers.coroutines import AsyncFunction, fixed_tasks, gathered
from ..peers.table import library

_AT_A_TIME = 100


def _by_httpx(url: str) -> tuple[AsyncFunction, Callable[[], Any]]:
    httpx = library("httpx")

    async def fetch(item: int, client: Any) -> str:
        answer = await client.get(f"{url}/plain/{item}")
        answer.raise_for_status()
        text: str = answer.text
        return text

    limits = httpx.Limits(max_connections=_AT_A_TIME, max_keepalive_connections=_AT_A_TIME)
    return fetch, partial(httpx.AsyncClient, limits=limits, timeout=30)


def _by_aiohttp(url: str) -> tuple[AsyncFunction, Callable[[], Any]]:
    session = library("aiohttp").ClientSession

    async def fetch(item: int, client: Any) -> str:
        async with client.get(f"{url}/plain/{item}", raise_for_status=True) as answer:
            text: str = await answer.text()
            return text

    return fetch, session


def _requests(
    client: Callable[[str], tuple[AsyncFunction, Callable[[], Any]]],
    count: int,
    stack: ExitStack,
) -> list[Contender]:
    if find_spec("aiohttp") is None or find_spec("httpx") is None:
        return [ours.ours(Unable("aiohttp and httpx are needed"))]
    fetch, state = client(stack.enter_context(serving()))
    items = range(count)
    run = partial(parallel.async_map, fetch, items, _AT_A_TIME, worker_state=state)
    return [
        Contender(
            "fixed tasks on one iterator",
            "limit",
            partial(fixed_tasks, fetch, items, _AT_A_TIME, state),
        ),
        ours.ours(run),
        ours.ours(partial(run, timeout=30), "timeout=30"),
        Contender("gather, semaphore", "peer", partial(gathered, fetch, items, _AT_A_TIME, state)),
    ]


# Clients, how many requests are made by each, how often, and why so many.
_CLIENTS: dict[str, tuple[Any, int, int, str]] = {
    "httpx": (
        _by_httpx,
        500,
        5,
        "Few requests, since the client takes some 10 ms of processor time for each when as many "
        "connections are open: its pool asks the system about each of them, at each request.",
    ),
    "aiohttp": (_by_aiohttp, 5_000, 7, ""),
}

# Kinds of limits of the server, with items and the seconds that they take at best.
_LIMITS = {
    "at-once-25": (1500, 1500 * CALL / 25),
    "per-second-40": (320, (320 - 5) / 40),
    "knee-16": (960, 960 * CALL / 16),
}


class _RefusedError(Exception):
    def __init__(self, status: int) -> None:
        super().__init__(f"the status is {status}")
        self.status = status


class _Connection:
    """A connection that a thread keeps."""

    def __init__(self, url: str) -> None:
        self._connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=30)

    def get(self, path: str) -> str:
        self._connection.request("GET", path)
        with self._connection.getresponse() as answer:
            text = answer.read().decode()
        if answer.status != 200:
            raise _RefusedError(answer.status)
        return text

    def close(self) -> None:
        self._connection.close()


@contextmanager
def _asked(url: str) -> Iterator[_Connection]:
    connection = _Connection(url)
    try:
        yield connection
    finally:
        connection.close()


def _auto() -> dict[str, str]:
    if find_spec("aiohttp") is None:
        return {"all": "aiohttp is not installed"}
    found: dict[str, str] = {}
    for name, map_it in {"threads": _in_threads, "asyncio": _in_a_loop}.items():
        for kind, (count, best) in _LIMITS.items():
            with serving() as url:
                began = time.perf_counter()
                results = map_it(url, kind, count)
                took = time.perf_counter() - began
                with _asked(url) as connection:
                    refused, most = map(int, connection.get("/refused/0").split())
            right = sum(result == str(item) for item, result in enumerate(results))
            found[f"{kind}, {name}"] = (
                f"{took / best:.2f} x ideal, {refused / count:.3f} refused per item, at most "
                f"{most} in flight" + ("" if right == count else f", only {right} right results")
            )
    return found


def _in_threads(url: str, kind: str, count: int) -> list[Any]:
    def fetch(item: int, connection: _Connection) -> str:
        return connection.get(f"/{kind}/{item}")

    return parallel.thread_map(
        fetch, range(count), max_workers="auto", worker_state=partial(_Connection, url)
    )


def _in_a_loop(url: str, kind: str, count: int) -> list[Any]:
    aiohttp = library("aiohttp")

    async def fetch(item: int, client: Any) -> str:
        async with client.get(f"{url}/{kind}/{item}", raise_for_status=True) as answer:
            text: str = await answer.text()
            return text

    def state() -> Any:
        return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))

    return parallel.async_map(fetch, range(count), max_workers="auto", worker_state=state)


GROUP = Group(
    "clients",
    "Async clients, and limits that are found out",
    [
        *(
            Workload(
                f"clients-{name}",
                f"{count:,} requests by {name}, {_AT_A_TIME} at a time",
                partial(_requests, client, count),
                rounds=rounds,
                seconds=40,
                patience=1500,
                limit="so many tasks on one iterator, without errors",
                note=note,
                needs="async_map",
            )
            for name, (client, count, rounds, note) in _CLIENTS.items()
        ),
        Facts(
            "clients-auto",
            'Services whose limit is not known, `max_workers="auto"`',
            _auto,
            note=f"Calls take {CALL:g} s, give or take a fifth. The ideal knows the limit from the "
            "first call on.",
            needs="async_map",
        ),
    ],
    "The server is made with aiohttp, and runs in a process of its own. The tasks on one iterator "
    "and those with a semaphore are what people write by hand for a client.",
)
