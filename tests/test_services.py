"""Maps over a real service on this machine, and the examples in docs/services.md."""

from __future__ import annotations

import http.client
import re
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from metainformant.core import parallel

from .local_service import CALL, LocalService
from .support import ROOT


@pytest.fixture
def service() -> Iterator[LocalService]:
    with LocalService().running() as running:
        yield running


class Connection:
    """A connection that is kept, as each worker has one."""

    def __init__(self, url: str) -> None:
        self._connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=30)

    def get(self, path: str) -> int:
        self._connection.request("GET", path)
        with self._connection.getresponse() as response:
            body = response.read()
        if response.status != 200:
            raise urllib.error.HTTPError(path, response.status, "", response.headers, None)
        return int(body)

    def close(self) -> None:
        self._connection.close()


# What is replaced in the examples: only where the service is, and how long they wait for it.
_REPLACED = {"timeout=10": "timeout=0.5", "total=10": "total=0.5", "backoff=0.5": "backoff=0.01"}


@pytest.mark.alone
def test_the_examples_in_the_documents(
    service: LocalService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs" / "services.md").read_text()
    for before, after in {"https://api.example.org": service.url, **_REPLACED}.items():
        assert before in text
        text = text.replace(before, after)
    blocks = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 6
    found: dict[str, Any] = {"__name__": "examples"}
    has_aiohttp = find_spec("aiohttp") is not None  # it has no wheels for all builds
    for block in blocks:
        if "import aiohttp" in block and not has_aiohttp:
            continue
        exec(compile(block, "docs/services.md", "exec"), found)
    assert found["genes"] == [str(number) for number in range(100)]
    assert found["genes_by_httpx"] == [str(number) for number in range(100, 200)]
    assert found["genes_async"] == [str(number) for number in range(200, 300)]
    if has_aiohttp:
        assert found["genes_by_aiohttp"] == [str(number) for number in range(300, 400)]
    assert found["lengths"] == ["3", "7"]
    assert found["names"] == [str(number) for number in range(300)]
    # Those with these last digits fail once, 3 as it is refused. On a busy machine others fail too,
    # and aiohttp tries again by itself.
    for number in range(400 if has_aiohttp else 300):
        assert service.calls[f"/genes/{number}"] >= (2 if number % 10 in (3, 5, 7) else 1)
    assert service.refused >= (40 if has_aiohttp else 30)


@pytest.mark.alone
@pytest.mark.parametrize("kind", ["at-once-25", "per-second-80"])
def test_a_real_limit_is_found(service: LocalService, kind: str) -> None:
    """Far from 256 calls at a time, most of which would be refused, and from the first eight.

    How near it comes depends on the machine: simulated services tell that, and benchmarks.
    """
    items, best = {"at-once-25": (750, 750 * CALL / 25), "per-second-80": (320, 4.0)}[kind]

    def task(number: int, connection: Connection) -> int:
        return connection.get(f"/{kind}/{number}")

    began = time.monotonic()
    results = parallel.thread_map(
        task,
        range(items),
        max_workers="auto",
        worker_state=lambda: Connection(service.url),
    )
    seconds = time.monotonic() - began
    assert results == list(range(items))
    assert service.refused <= 0.5 * items
    if kind == "at-once-25":  # 80 per second of 0.1 s are 8 at a time
        assert service.most > 8
    assert service.most <= 64
    print(f"{kind}: {seconds / best:.2f} x best, {service.refused / items:.3f} refused per item")  # noqa: T201


@pytest.mark.alone
def test_a_real_knee_is_found(service: LocalService) -> None:
    def task(number: int, connection: Connection) -> int:
        return connection.get(f"/knee-16/{number}")

    results = parallel.thread_map(
        task,
        range(600),
        max_workers="auto",
        worker_state=lambda: Connection(service.url),
    )
    assert results == list(range(600))
    assert service.most <= 2.5 * 16


def test_each_change_is_in_the_log_and_the_report_with_its_reason(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level("INFO", logger="metainformant.parallel")
    turn = threading.Lock()

    def task(number: int) -> None:
        with turn:
            time.sleep(0.005)

    report = parallel.Report(tmp_path / "report.html")
    parallel.thread_map(task, range(500), max_workers="auto", report=report)
    changes = re.findall(r"(\d+) workers instead of (\d+): \w+", caplog.text)
    assert changes, "no change was logged"
    assert all(now != before for now, before in changes)
    assert [before for _, before in changes[1:]] == [now for now, _ in changes[:-1]]
    (run,) = report.data["runs"]
    kept = run["worker_changes"]["list"]
    assert [(str(change["to"]), str(change["from"])) for change in kept] == changes
    assert all(0 <= change["at"] <= run["elapsed"] and change["why"] for change in kept)
    page = (tmp_path / "report.html").read_text()
    assert f"from {changes[0][1]} to {changes[-1][0]} in the end" in page
    assert kept[0]["why"] in page
