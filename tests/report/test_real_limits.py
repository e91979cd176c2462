"""The verdict on real runs whose limit is known, with nothing else beside them on the machine."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from metainformant.core import parallel
from metainformant.core.parallel.host.gil import HAS_GIL

pytestmark = pytest.mark.alone

# A machine has its moments; a wrong verdict is wrong each time.
_ATTEMPTS = 3


def judged(kinds: str | set[str], run: Callable[..., object]) -> dict[str, Any]:
    """Return what is known of a run whose verdict is one of these kinds, in one of some attempts.

    `run` gets the report to pass on.
    """
    kinds = {kinds} if isinstance(kinds, str) else kinds
    sentences = []
    for _ in range(_ATTEMPTS):
        report = parallel.Report()
        run(report)
        (data,) = report.data["runs"]
        whole = data["time"]["worker_seconds"]
        assert sum(data["time"]["parts"].values()) == pytest.approx(whole, rel=0.02)
        if data["limit"]["kind"] in kinds:
            found: dict[str, Any] = data
            return found
        sentences.append(data["limit"])
    raise AssertionError(f"not {kinds}: {sentences}")


def _pause(_: object) -> None:
    time.sleep(0.05)  # what is measured is that calls wait


def _slow_input(count: int) -> Any:
    for number in range(count):
        time.sleep(0.01)
        yield number


def test_calls_that_wait() -> None:
    judged("calls", lambda report: parallel.thread_map(_pause, range(100), 8, report=report))


def test_a_slow_input() -> None:
    judged("input", lambda report: list(parallel.imap(abs, _slow_input(60), report=report)))


def test_a_slow_consumer() -> None:
    def consume(report: parallel.Report) -> None:
        for _ in parallel.imap(abs, range(60), buffer_size=4, report=report):
            time.sleep(0.01)

    judged("consumer", consume)


def test_a_slow_callback() -> None:
    def slow(*_: object) -> None:
        time.sleep(0.01)

    judged(
        "callbacks",
        lambda report: parallel.thread_map(abs, range(100), on_complete=slow, report=report),
    )


def test_coroutines_that_wait() -> None:
    async def pause(_: object) -> None:
        await asyncio.sleep(0.02)

    run = judged("calls", lambda report: parallel.async_map(pause, range(200), 5, report=report))
    assert "max_workers" in run["limit"]["sentence"]


def test_coroutines_that_block_the_loop() -> None:
    async def block(_: int) -> None:
        time.sleep(0.01)  # that is the point

    judged("event_loop", lambda report: parallel.async_map(block, range(100), report=report))


def test_a_rate() -> None:
    judged("rate", lambda report: parallel.thread_map(abs, range(60), rate=100, report=report))


def test_waiting_for_retries() -> None:
    def run(report: parallel.Report) -> None:
        failed: set[int] = set()

        def once(number: int) -> int:
            if number % 10 == 0 and number not in failed:
                failed.add(number)
                raise OSError
            return number

        parallel.thread_map(once, range(60), 2, retries=1, backoff=lambda *_: 0.6, report=report)

    judged("retries", run)


def test_one_straggler() -> None:
    event = threading.Event()
    run = judged(
        "tail",
        lambda report: parallel.thread_map(
            lambda n: event.wait(0.8) if n == 60 else None, range(61), 4, report=report
        ),
    )
    assert run["slowest"][0]["index"] == 60


@pytest.mark.skipif(not HAS_GIL, reason="threads compute at the same time")
def test_computing_in_threads() -> None:
    def compute(_: int) -> None:
        until = time.thread_time() + 0.01
        while time.thread_time() < until:
            pass

    judged("gil", lambda report: parallel.thread_map(compute, range(80), 4, report=report))


def _compute(_: int) -> None:
    until = time.process_time() + 0.01
    while time.process_time() < until:
        pass


def test_computing_in_processes() -> None:
    run = judged(
        {"workers", "computing"},
        lambda report: parallel.process_map(_compute, range(100), 1, report=report),
    )
    parts = run["time"]["parts"]
    assert run["time"]["cpu"] >= 1.0
    assert parts["computing"] + parts.get("not_scheduled", 0) >= 0.8 * run["time"]["busy"]


def test_failing_fast() -> None:
    def refuse(_: int) -> None:
        time.sleep(0.01)
        raise ConnectionRefusedError

    judged("failures", lambda report: parallel.thread_map(refuse, range(120), 2, report=report))
