"""The live page in a browser: it grows, keeps what was opened, and only its own origin reads it."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser.webdriver import Browser
from tests.observe.test_live import Addresses, Held, addresses, count_in
from tests.support import wait_until

__all__ = ["addresses"]  # a fixture

SECTIONS = "return document.getElementById('run').innerHTML"
STATUS = "return document.getElementById('status').textContent"


def test_it_grows_until_the_run_has_ended(browser: Browser, addresses: Addresses) -> None:
    run = Held(addresses)
    try:
        browser.open(run.address)
        wait_until(lambda: browser.run(STATUS) == "The run goes on." or None)
        assert count_in(browser.run(SECTIONS)) == 0
        # What somebody opens stays open when the next state comes.
        browser.run("document.querySelectorAll('details')[1].open = true")
        run.let_through(4)
        wait_until(lambda: count_in(browser.run(SECTIONS)) == 4)
        assert "the fourth is &lt;b&gt;bad&lt;/b&gt;" in browser.run(SECTIONS)
        assert browser.run("return document.querySelectorAll('details')[1].open")
        assert browser.run("return document.querySelectorAll('main b').length") == 0
    finally:
        run.end()
    wait_until(lambda: "The run has ended" in browser.run(STATUS))
    assert count_in(browser.run(SECTIONS)) == 10
    assert browser.run("return document.querySelectorAll('th button').length") > 5


class _Elsewhere(http.server.BaseHTTPRequestHandler):
    """A page of another origin."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<p>elsewhere")

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def elsewhere() -> Iterator[str]:
    with http.server.HTTPServer(("127.0.0.1", 0), _Elsewhere) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


READ = """
const [address, mode] = arguments;
return fetch(address, {mode}).then((answer) => answer.text()).catch(() => "refused");
"""
FRAME = """
const frame = document.createElement("iframe");
const loaded = new Promise((resolve) => { frame.onload = () => resolve("loaded"); });
frame.src = arguments[0];
document.body.append(frame);
return loaded.then(() => { try { return frame.contentDocument; } catch { return null; } });
"""


def test_no_other_origin_reads_it(browser: Browser, addresses: Addresses, elsewhere: str) -> None:
    run = Held(addresses)
    try:
        browser.open(elsewhere)
        assert browser.run(READ, elsewhere, "cors") == "<p>elsewhere"
        for address in (run.address, run.address.replace("/?", "/events?")):
            assert browser.run(READ, address, "cors") == "refused"  # though the token is right
            # Without CORS the answer would be opaque; it is not even that.
            assert browser.run(READ, address, "no-cors") in ("refused", "")
        assert browser.run(FRAME, run.address) is None
    finally:
        run.end()
