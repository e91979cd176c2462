"""A browser that is told what to do by the WebDriver protocol (https://www.w3.org/TR/webdriver2)."""

from __future__ import annotations

import base64
import http.client
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
_ARGUMENTS = (
    "--headless",
    "--no-sandbox",  # as root there is none
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_PORT = re.compile(r"started successfully on port (\d+)")
_SECONDS = 60


class Browser:
    """A browser with one window. It and its driver end with `close`."""

    def __init__(self, profile: Path) -> None:
        assert CHROMIUM is not None
        assert DRIVER is not None
        self._driver = subprocess.Popen([DRIVER, "--port=0"], stdout=subprocess.PIPE, text=True)
        self._session = ""
        try:
            assert self._driver.stdout is not None
            found = next(filter(None, map(_PORT.search, self._driver.stdout)))
            self._port = int(found[1])
            options = {
                "binary": CHROMIUM,
                "args": [*_ARGUMENTS, f"--user-data-dir={profile}"],
            }
            wanted = {"alwaysMatch": {"goog:chromeOptions": options}}
            session = self._ask("POST", "/session", {"capabilities": wanted})
            self._session = f"/session/{session['sessionId']}"
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        try:
            if self._session:
                self._ask("DELETE", self._session)
        finally:
            self._driver.kill()
            self._driver.communicate()

    def open(self, address: str) -> None:
        self._command("url", {"url": address})

    def run(self, script: str, *arguments: object) -> Any:
        """Run JavaScript in the page and return what it returns; promises are awaited."""
        return self._command("execute/sync", {"script": script, "args": arguments})

    def set_screen(self, width: int, *, scheme: str = "light", media: str = "screen") -> None:
        """Make the window that wide, and the colours of the system light or dark."""
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self._chrome("Emulation.setDeviceMetricsOverride", size)
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self._chrome("Emulation.setEmulatedMedia", {"media": media, "features": [feature]})

    def photograph(self, path: Path, height: int | None = None) -> None:
        """Write the page as a picture: all of it, or its upper part."""
        options: dict[str, Any] = {"captureBeyondViewport": True}
        if height is not None:
            width = self.run("return innerWidth")
            options["clip"] = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
        shot = self._chrome("Page.captureScreenshot", options)
        path.write_bytes(base64.b64decode(shot["data"]))

    def _chrome(self, name: str, parameters: dict[str, Any]) -> Any:
        return self._command("goog/cdp/execute", {"cmd": name, "params": parameters})

    def _command(self, name: str, body: dict[str, Any]) -> Any:
        return self._ask("POST", f"{self._session}/{name}", body)

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_SECONDS)
        try:
            content = None if body is None else json.dumps(body)
            connection.request(method, path, content, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            value = json.loads(answer.read())["value"]
        finally:
            connection.close()
        assert answer.status == 200, value
        return value
