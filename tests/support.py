"""Helpers that several test files share."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

from metainformant.core import parallel

ROOT = Path(__file__).parent.parent  # of the project


def without_coverage() -> dict[str, str]:
    """The environment for processes that are interrupted.

    A `KeyboardInterrupt` within the tracer of coverage leaves its lock locked, and then all threads
    wait for it.
    """
    return {name: value for name, value in os.environ.items() if "COVERAGE" not in name}


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    """Run `code` in an interpreter of its own, and wait until that has exited."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=without_coverage(),
    )


def wait_for_other_threads(before: set[threading.Thread]) -> None:
    """Wait until all threads but those are gone. Some may just be starting, or start others."""
    until = time.monotonic() + 30
    while left := set(threading.enumerate()) - before:
        assert time.monotonic() < until, left
        time.sleep(0.001)


def wait_until_ended(error: object) -> None:
    """Wait until the call that timed out has ended."""
    assert isinstance(error, parallel.TaskTimeoutError)
    until = time.monotonic() + 30
    while error.running and time.monotonic() < until:
        time.sleep(0.001)
    assert not error.running
