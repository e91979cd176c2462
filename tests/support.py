"""Helpers that several test files share."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from hypothesis import settings

from metainformant.core import parallel

T = TypeVar("T")

ROOT = Path(__file__).parent.parent  # of the project


def examples(times: float) -> settings:
    """Let Hypothesis try so many times the usual number of examples: `make quick` has fewer."""
    return settings(max_examples=round(times * settings().max_examples))


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


def wait_until(condition: Callable[[], T]) -> T:
    """Wait until the condition is true, and return what it was then. Fail after a minute."""
    until = time.monotonic() + 60
    while not (found := condition()):
        assert time.monotonic() < until, "the condition never came true"
        time.sleep(0.001)
    return found


def wait_for_other_threads(before: set[threading.Thread]) -> None:
    """Wait until all threads but those are gone. Some may just be starting, or start others."""
    wait_until(lambda: set(threading.enumerate()) <= before)


def wait_until_ended(error: object) -> None:
    """Wait until the call that timed out has ended."""
    assert isinstance(error, parallel.TaskTimeoutError)
    wait_until(lambda: not error.running)
