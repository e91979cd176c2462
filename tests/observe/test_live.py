"""`live=True` on maps: who may see the page, how it grows, and what it leaves behind."""

from __future__ import annotations

import gc
import http.client
import logging
import os
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from metainformant.core import parallel
from metainformant.core.parallel.observe import live_feed, live_server
from metainformant.core.parallel.observe.live_feed import LiveFeed
from metainformant.core.parallel.observe.recorder import RunRecorder
from metainformant.core.parallel.report.live_page import live_sections
from metainformant.core.parallel.report.markup import Markup
from metainformant.core.parallel.report.record import Record
from tests.report.test_page import run_of
from tests.support import wait_until

COUNT = re.compile(r"<dt>items</dt><dd>(\d+)(?: of 10)?</dd>")


class Addresses(logging.Handler):
    """The addresses of pages that were told."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if hasattr(record, "live_page"):
            assert record.live_page in record.getMessage()
            self.told.append(record.live_page)


@pytest.fixture
def addresses(caplog: pytest.LogCaptureFixture) -> Iterator[Addresses]:
    handler, logger = Addresses(), logging.getLogger("metainformant.parallel")
    logger.addHandler(handler)
    with caplog.at_level(logging.INFO, logger.name):
        yield handler
    logger.removeHandler(handler)


class Held:
    """A map of ten items in a thread of its own, each held until it is let through."""

    def __init__(self, addresses: Addresses, **options: Any) -> None:
        self._gate = threading.Semaphore(0)
        self._options = {"chunk_size": 1, "live": True, **options}
        self._thread = threading.Thread(target=self._run)
        self.error: BaseException | None = None
        self._thread.start()
        self.address = wait_until(lambda: addresses.told)[-1]

    def _run(self) -> None:
        try:
            parallel.thread_map(self._held, range(10), 2, **self._options)
        except ValueError as error:
            self.error = error

    def _held(self, item: int) -> int:
        assert self._gate.acquire(timeout=60)
        if item == 3:
            raise ValueError("the fourth is <b>bad</b>")
        return item

    def let_through(self, count: int) -> None:
        self._gate.release(count)

    def end(self) -> None:
        self.let_through(10)
        self._thread.join(60)
        assert not self._thread.is_alive()


def ask(address: str, path: str | None = None, **headers: str) -> http.client.HTTPResponse:
    """Return the answer of the server at the address, to the same path or another."""
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(parts.netloc, timeout=60)
    path = f"{parts.path}?{parts.query}" if path is None else path
    connection.request("GET", path, headers=headers)
    return connection.getresponse()


def events(address: str) -> Iterator[tuple[str, str]]:
    answer = ask(address, f"/events?{urlsplit(address).query}")
    assert answer.status == 200
    assert answer.getheader("Content-Type") == "text/event-stream"
    name, lines = "", []
    while line := answer.readline().decode():
        key, _, value = line.removesuffix("\n").partition(": ")
        if key == "event":
            name = value
        elif key == "data":
            lines.append(value)
        elif not key and lines:
            yield name, "\n".join(lines)
            lines = []


def left_behind() -> tuple[set[str], int]:
    gc.collect()
    folder = Path("/proc/self/fd")
    names = {thread.name for thread in threading.enumerate()}
    return names, len(os.listdir(folder)) if folder.exists() else 0


def count_in(sections: str) -> int:
    found = COUNT.search(sections)
    assert found is not None
    return int(found[1])


def test_the_page_grows_until_the_run_has_ended(addresses: Addresses) -> None:
    before = left_behind()
    run = Held(addresses)
    page = ask(run.address)
    assert page.status == 200
    assert page.getheader("Cache-Control") == "no-store"
    assert page.getheader("Referrer-Policy") == "no-referrer"
    assert page.getheader("X-Content-Type-Options") == "nosniff"
    assert page.getheader("Access-Control-Allow-Origin") is None
    assert "connect-src 'self'" in (page.getheader("Content-Security-Policy") or "")
    assert count_in(page.read().decode()) == 0
    stream = events(run.address)
    assert count_in(next(stream)[1]) == 0
    run.let_through(4)
    assert any(count_in(sections) == 4 for _, sections in stream)
    assert count_in(ask(run.address).read().decode()) == 4  # also for a page that is opened now
    threading.Thread(target=run.end).start()
    *_, (name, sections) = stream  # it ends by itself
    assert name == "end"
    assert count_in(sections) == 10
    assert "the fourth is &lt;b&gt;bad&lt;/b&gt;" in sections
    del page, stream
    run.end()
    wait_until(lambda: left_behind() == before)
    with pytest.raises(ConnectionRefusedError):
        ask(run.address)


def test_nobody_else_can_read_it(addresses: Addresses) -> None:
    run = Held(addresses)
    parts = urlsplit(run.address)
    query, host, port = parts.query, parts.netloc, parts.port
    try:
        for path in ("/", "/events", "/?token=", "/?token=wrong", "/?token=%ff", f"/?{query}x"):
            assert ask(run.address, path).status == 403, path
        assert ask(run.address, f"/?{query}&{query}").status == 403
        for name in ("evil.example", f"evil.example:{port}", "127.0.0.1", "localhost:1", "[::1]"):
            assert ask(run.address, Host=name).status == 403, name
        for origin in ("https://evil.example", "null", "http://localhost:1"):
            assert ask(run.address, Origin=origin).status == 403, origin
        assert ask(run.address, Host=host, Origin=f"http://{host}").status == 200
        assert ask(run.address, Host=f"localhost:{port}").status == 200
        assert ask(run.address, f"/other?{query}").status == 404
    finally:
        run.end()


def test_a_map_that_fails_says_so_and_leaves_nothing(addresses: Addresses) -> None:
    before = left_behind()
    run = Held(addresses, on_error="raise")
    stream = events(run.address)
    next(stream)
    threading.Thread(target=run.end).start()
    *_, (name, sections) = stream
    assert name == "end"
    assert "<dt>ended</dt><dd>failed</dd>" in sections
    run.end()
    assert isinstance(run.error, ValueError)
    run.error = None
    del stream
    wait_until(lambda: left_behind() == before)


def test_browsers_that_stall_never_hold_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_feed, "live_sections", lambda *_: "x" * 30_000_000)
    monkeypatch.setattr(live_server, "_GRACE", 0.05)
    before = left_behind()
    feed = LiveFeed({})
    server = live_server.LiveServer(feed)
    with (
        socket.create_connection(("127.0.0.1", server.port)) as reads_nothing,
        socket.create_connection(("127.0.0.1", server.port)),  # asks nothing
    ):
        head = f"GET /events?token={server.token} HTTP/1.0\r\nHost: localhost:{server.port}\r\n\r\n"
        reads_nothing.sendall(head.encode())
        assert reads_nothing.recv(10) == b"HTTP/1.0 2"
        feed.put({}, is_last=True)
        server.close()  # although more is to be written than any buffer holds
        names, _ = left_behind()
        assert names == before[0]
    assert left_behind() == before


async def double_later(number: int) -> int:
    return 2 * number


def double(number: int) -> int:
    return 2 * number


MAPS: dict[str, Callable[..., Any]] = {
    "thread_map": parallel.thread_map,
    "process_map": parallel.process_map,
    # With this buffer it goes on while results are taken.
    "imap": lambda *args, **options: list(parallel.imap(*args, buffer_size=1, **options)),
    "async_map": parallel.async_map,
}


@pytest.mark.parametrize("serial", [False, True], ids=["parallel", "serial"])
@pytest.mark.parametrize("name", MAPS)
def test_every_map_has_one(addresses: Addresses, name: str, serial: bool) -> None:
    pages: list[str] = []

    def look(index: int, *_: object) -> None:
        if index == 2:
            pages.append(ask(addresses.told[0]).read().decode())

    func: Callable[[int], Any] = double_later if name == "async_map" else double
    with parallel.serial() if serial else nullcontext():
        assert MAPS[name](func, range(5), live=True, on_complete=look) == [0, 2, 4, 6, 8]
    (page,) = pages
    assert f"<h1>{name}(" in page


def test_nothing_is_made_while_nobody_looks(
    addresses: Addresses, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    make = RunRecorder._data

    def noted(self: RunRecorder, ending: str, reason: str) -> dict[str, Any]:
        made.append(ending)
        return make(self, ending, reason)

    monkeypatch.setattr(RunRecorder, "_data", noted)
    monkeypatch.setattr(live_feed, "live_sections", None)
    progress: list[object] = []
    run = Held(addresses, progress=progress.append)
    wait_until(lambda: len(progress) > 5)
    run.end()
    assert made == ["not yet", "completed"]


def test_a_state_is_made_once_for_all_who_look(
    addresses: Addresses, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    pauses: list[float] = []
    make = live_sections

    def noted(run: dict[str, Any], let_others_run: Callable[[], object]) -> Markup:
        made.append(run["counts"]["finished"])
        return make(run, let_others_run)

    monkeypatch.setattr(live_feed, "live_sections", noted)
    monkeypatch.setattr(live_feed, "sleep", pauses.append)
    feed = LiveFeed(live_run(0))
    server = live_server.LiveServer(feed)
    try:
        page = ask(server.address).read().decode()
        query = urlsplit(server.address).query
        windows = [
            ask(server.address, f"/events?{query}{more}") for more in ("&version=1", "&version=1")
        ]
        feed.put(live_run(7))
        # What the page has is not sent again: the first event is the second state.
        for window in windows:
            assert window.readline() == b"event: run\n"
            assert count_in(window.readline().decode()) == 7
        assert made == [0, 7]
        assert len(pauses) >= 2 * 10  # between any two parts, others may run
        assert all(pauses)
        feed.put(live_run(10), is_last=True)
        assert [window.read().count(b"event: end") for window in windows] == [1, 1]
        assert made == [0, 7, 10]
    finally:
        server.close()
    assert 'data-version="1"' in page
    assert "&version=${run_.dataset.version}" in page


@pytest.mark.parametrize("version", ["", "x", "1&version=1", "%ff"])
def test_a_version_that_is_none_gets_the_newest_state(version: str) -> None:
    server = live_server.LiveServer(LiveFeed(live_run(3)))
    try:
        query = urlsplit(server.address).query
        answer = ask(server.address, f"/events?{query}&version={version}")
        assert answer.readline() == b"event: run\n"
    finally:
        server.close()


def live_run(finished: int) -> dict[str, Any]:
    """Return the data of a run that goes on."""
    record = Record(2)
    record.outcomes(finished, {}, str)
    return run_of(record)


def test_it_leaves_out_items_as_the_report_does(addresses: Addresses) -> None:
    run = Held(addresses, report=parallel.Report(items=False))
    stream = events(run.address)
    run.let_through(10)
    *_, (_, sections) = stream
    run.end()
    assert count_in(sections) == 10
    assert "ValueError" in sections
    assert "the fourth" not in sections


def test_results_survive_a_page_that_cannot_be_served(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no descriptors")

    monkeypatch.setattr(socket, "create_server", refuse)
    assert parallel.thread_map(double, range(3), live=True) == [0, 2, 4]
    assert "thread_map: there is no live page: no descriptors" in caplog.text
