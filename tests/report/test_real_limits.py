"""The limits that are found of real runs, with nothing else beside them on the machine.

Each of these runs is built so that one thing limits it. Where the change that a report proposes can
be made, it is made, and takes about as long as the report has predicted.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
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


def predicted(kind: str, run: Callable[..., object], change: Callable[[], object]) -> None:
    """Check that the change which a report of the run proposes takes as long as it predicts.

    To 25 %, in one of some attempts.
    """
    found = []
    for _ in range(_ATTEMPTS):
        seconds = judged(kind, run)["limit"]["seconds"]
        began = time.monotonic()
        change()
        found.append((seconds, time.monotonic() - began))
        # Where others want the processors too, nothing is predicted.
        if seconds is not None and found[-1][1] == pytest.approx(seconds, rel=0.25):
            return
    raise AssertionError(f"predicted and real seconds: {found}")


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


def test_more_workers_for_calls_that_wait_take_as_long_as_predicted() -> None:
    predicted(
        "calls",
        lambda report: parallel.thread_map(_pause, range(200), 8, report=report),
        lambda: parallel.thread_map(_pause, range(200), 16),
    )


def _wait(seconds: float) -> None:
    threading.Event().wait(seconds)


def test_long_items_first_take_as_long_as_predicted() -> None:
    items = [0.02] * 60 + [1.0]
    predicted(
        "tail",
        lambda report: parallel.thread_map(_wait, items, 4, report=report),
        lambda: parallel.thread_map(_wait, sorted(items, reverse=True), 4),
    )


@pytest.mark.skipif(parallel.cpu_count() < 2, reason="on one processor nothing is predicted")
@pytest.mark.skipif(not HAS_GIL, reason="threads compute at the same time")
def test_processes_instead_of_threads_take_as_long_as_predicted() -> None:
    workers = parallel.cpu_count()
    predicted(
        "gil",
        lambda report: parallel.thread_map(_compute_here, range(300), 4, report=report),
        lambda: parallel.process_map(_compute_here, range(300), workers),
    )


@pytest.mark.skipif(parallel.cpu_count() < 2, reason="there can't be too few workers")
def test_more_processes_take_as_long_as_predicted() -> None:
    workers = parallel.cpu_count()
    predicted(
        "workers",
        lambda report: parallel.process_map(_compute, range(200), 1, report=report),
        lambda: parallel.process_map(_compute, range(200), workers),
    )


def _compute_here(_: int) -> None:
    until = time.thread_time() + 0.01
    while time.thread_time() < until:
        pass


def _small(_: int) -> int:
    return sum(range(800))


def test_threads_for_small_items_take_as_long_as_predicted() -> None:
    # What a worker does to record an outcome is in the time of an item: less than a microsecond.
    items = list(range(40_000))
    predicted(
        "small_items",
        lambda report: parallel.process_map(_small, items, 1, chunk_size=3, report=report),
        lambda: parallel.thread_map(_small, items),
    )


def _multiply(_: int) -> None:
    import numpy as np

    matrix = np.ones((400, 400))
    for _time in range(4):
        matrix = matrix @ matrix * 1e-3


def test_blas_in_too_many_processes() -> None:
    pytest.importorskip("numpy")
    workers = 2 * parallel.cpu_count()
    run = judged(
        "oversubscribed",
        lambda report: parallel.process_map(
            _multiply, range(100), workers, inner_threads=2, report=report
        ),
    )
    assert "inner_threads=1 would help" in run["limit"]["sentence"]


@contextlib.contextmanager
def _group_with_a_quota(percent: int) -> Iterator[Path]:
    """Make a control group whose processes get that share of a processor; skip if forbidden."""
    root = Path("/sys/fs/cgroup")
    is_v2 = (root / "cgroup.controllers").exists()
    group = (root if is_v2 else root / "cpu") / "test-of-a-quota"
    period = 20_000  # us
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"control groups can't be made here: {error}")
    try:
        quota = period * percent // 100
        try:
            if is_v2:
                (group / "cpu.max").write_text(f"{quota} {period}")
            else:
                (group / "cpu.cfs_period_us").write_text(f"{period}")
                (group / "cpu.cfs_quota_us").write_text(f"{quota}")
        except OSError as error:
            pytest.skip(f"quotas can't be set here: {error}")
        yield group / "cgroup.procs"
    finally:
        group.rmdir()


_UNDER_A_QUOTA = """
import os, sys, time
from metainformant.core import parallel

def compute(_):
    until = time.thread_time() + 0.001
    while time.thread_time() < until:
        pass

parallel.thread_map(compute, range(4), 2, report=parallel.Report())
with open(sys.argv[1], "w") as group:
    group.write(str(os.getpid()))
report = parallel.Report()
parallel.thread_map(compute, range(60), 2, report=report)
print(report.limit.kind, report.limit)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="control groups are Linux's")
def test_a_quota_of_the_control_group() -> None:
    with _group_with_a_quota(5) as processes:
        ended = subprocess.run(
            [sys.executable, "-c", _UNDER_A_QUOTA, str(processes)],
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
    assert ended.stdout.startswith("quota The quota of the control group"), ended.stdout
