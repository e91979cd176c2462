"""The server of a live page: to browsers of this machine that know its token, and to nobody else.

Each connection has a thread of its own, which renders and writes. The engine's thread makes the
server and closes it, and waits for none of these in between.
"""

from __future__ import annotations

import hmac
import secrets
import selectors
import socket
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from time import monotonic
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ..report.live_page import live_page, live_policy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from .live_feed import LiveFeed

_HOST = "127.0.0.1"
# Seconds between two events of a connection.
_EVENT_EVERY = 0.5
# Seconds that the engine has to tell the state for a new page. A serial map may be in a long call.
_FRESH_WITHIN = 0.2
# Seconds after which a browser that neither asks nor reads is left.
_STALLED_AFTER = 5.0
# Seconds that browsers have at the end of the run to get its last state.
_GRACE = 1.0
# Seconds until connections are accepted again after that has failed.
_RETRY_AFTER = 0.1
# Connections at the same time: a page has two for a moment, and some are for more windows.
_MAX_CONNECTIONS = 16


class LiveServer:
    """The server of one run.

    Raises:
        OSError: if there is no port, or no descriptor.
        RuntimeError: if no thread can be started.
    """

    def __init__(self, feed: LiveFeed) -> None:
        self.feed = feed
        self.token: str = secrets.token_urlsafe()
        self._lock = threading.Lock()
        # Under the lock:
        self._connections: dict[socket.socket, threading.Thread] = {}
        self._answering: set[socket.socket] = set()  # those of them that have asked
        self._listener = socket.create_server((_HOST, 0))
        self.port: int = self._listener.getsockname()[1]
        self._is_closing = threading.Event()
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._thread = threading.Thread(target=self._listen, name="live page", daemon=True)
        try:
            self._listener.setblocking(False)
            self._thread.start()
        except BaseException:
            self._close_sockets()
            raise

    @property
    def address(self) -> str:
        return f"http://{_HOST}:{self.port}/?token={self.token}"

    def close(self) -> None:
        """End everything. Browsers that read get what was put last, others are cut off."""
        self._is_closing.set()
        self._wake_writer.send(b"x")
        self._thread.join()  # it only accepts, and starts threads
        with self._lock:
            connections = dict(self._connections)
            silent = connections.keys() - self._answering
        _cut_off(silent)  # browsers open some in advance
        until = monotonic() + _GRACE
        for thread in connections.values():
            thread.join(max(0.0, until - monotonic()))
        _cut_off(connections)
        for thread in connections.values():
            thread.join()
        self._close_sockets()

    def begin_answer(self, connection: socket.socket) -> None:
        """Learn that a browser has asked for something, and may have to be waited for."""
        with self._lock:
            self._answering.add(connection)

    def _close_sockets(self) -> None:
        with suppress(OSError):  # not everywhere for sockets that listen
            # A worker that was forked meanwhile has a copy, which must not listen on.
            self._listener.shutdown(socket.SHUT_RDWR)
        for each in (self._listener, self._wake_reader, self._wake_writer):
            each.close()

    def _listen(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ)
            selector.register(self._wake_reader, selectors.EVENT_READ)
            while not self._is_closing.is_set():
                selector.select()
                try:
                    connection, _ = self._listener.accept()
                except BlockingIOError:  # it is gone again, or it is time to close
                    continue
                except OSError:  # there is no descriptor; some may come back
                    self._is_closing.wait(_RETRY_AFTER)
                    continue
                connection.setblocking(True)  # some systems hand the listener's mode on
                self._accept(connection)

    def _accept(self, connection: socket.socket) -> None:
        thread = threading.Thread(
            target=self._handle, args=(connection,), name="live page connection", daemon=True
        )
        with self._lock:
            is_full = len(self._connections) >= _MAX_CONNECTIONS
            if not is_full:
                self._connections[connection] = thread
        try:
            if not is_full:
                thread.start()
                return
        except RuntimeError:  # no more threads
            with self._lock:
                del self._connections[connection]
        connection.close()

    def _handle(self, connection: socket.socket) -> None:
        try:
            with suppress(OSError):  # the browser is gone, or has stalled
                _Handler(connection, (_HOST, 0), self)  # type: ignore[arg-type]
        finally:
            with self._lock:
                del self._connections[connection]
                self._answering.discard(connection)
            with suppress(OSError):
                connection.shutdown(socket.SHUT_WR)
            connection.close()


def _cut_off(connections: Iterable[socket.socket]) -> None:
    for connection in connections:
        with suppress(OSError):  # it is closed already
            connection.shutdown(socket.SHUT_RDWR)  # wakes whoever reads or writes


class _Handler(BaseHTTPRequestHandler):
    """The answer to one request."""

    server: LiveServer  # type: ignore[assignment]
    timeout = _STALLED_AFTER

    def do_GET(self) -> None:
        self.server.begin_answer(self.connection)
        address = urlsplit(self.path)
        if not (self._is_addressed() and self._has_token(address.query)):
            self._answer(403, "text/plain", b"Forbidden: use the address that the run has told.\n")
        elif address.path == "/":
            self._send_page()
        elif address.path == "/events":
            self._send_events(_version(address.query))
        else:
            self._answer(404, "text/plain", b"There is nothing here.\n")

    def _is_addressed(self) -> bool:
        """Return whether this server is meant: a name that was rebound to it is another one."""
        port = self.server.port
        hosts = self.headers.get_all("Host", [])
        names = (f"{_HOST}:{port}", f"localhost:{port}")
        origins = self.headers.get_all("Origin", [])
        return (
            len(hosts) == 1
            and hosts[0].strip().lower() in names
            and all(origin in [f"http://{name}" for name in names] for origin in origins)
        )

    def _has_token(self, query: str) -> bool:
        given = parse_qs(query).get("token", [])
        return len(given) == 1 and hmac.compare_digest(
            given[0].encode("utf-8", "surrogateescape"), self.server.token.encode()
        )

    def _send_page(self) -> None:
        feed = self.server.feed
        newest = feed.newest()  # from when somebody looked last
        shown = feed.wait_newer(newest.version, _FRESH_WITHIN) or newest
        text = live_page(shown.run, shown.sections(), shown.version)
        content = text.encode("utf-8", "backslashreplace")
        self._answer(200, "text/html; charset=utf-8", content)

    def _send_events(self, version: int) -> None:
        """Send what is newer than that version, which the browser has, until the end."""
        self._head(200, "text/event-stream")
        feed = self.server.feed
        while True:
            shown = feed.wait_newer(version, _EVENT_EVERY)
            if shown is None:  # it tells whether the browser is still there
                self.wfile.write(b": the run goes on\n\n")
                continue
            version = shown.version
            self.wfile.write(_event("end" if shown.is_last else "run", shown.sections()))
            if shown.is_last:
                return
            feed.pause(_EVENT_EVERY)

    def _answer(self, status: int, kind: str, content: bytes) -> None:
        self._head(status, kind, len(content))
        self.wfile.write(content)

    def _head(self, status: int, kind: str, length: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.send_header("Content-Security-Policy", live_policy())
        self.send_header("Cache-Control", "no-store")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.end_headers()

    def version_string(self) -> str:
        return "metainformant"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # as it is called there
        """Log nothing: the address of a request has the token."""


def _version(query: str) -> int:
    """Return the version that a browser has; 0 if it has none."""
    given = parse_qs(query).get("version", [])
    return int(given[0]) if len(given) == 1 and given[0].isdecimal() else 0


def _event(name: str, text: str) -> bytes:
    lines = "".join(f"data: {line}\n" for line in text.split("\n"))
    return f"event: {name}\n{lines}\n".encode("utf-8", "backslashreplace")
