"""What the tests run in workers of clusters."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from tests.backends.tasks import note, open_gate, wait_for


def dies_at(item: tuple[str, int, int]) -> int:
    """Note that an item was started; kill the worker if it is the deadly one, the first time."""
    path, number, deadly = item
    note(path, number)
    if number == deadly and not os.path.exists(f"{path}-died"):
        open_gate(f"{path}-died")
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def sleeps(item: tuple[str, int, float]) -> int:
    """Note that an item was started, and the process that runs it; then sleep."""
    path, number, seconds = item
    note(path, number)
    note(f"{path}-pids", os.getpid())
    time.sleep(seconds)
    return number


def swallows(item: tuple[str, int]) -> int:
    """The process; item 1 goes on whatever is raised in it, until the gate is open."""
    gate, number = item
    while number == 1 and not os.path.exists(gate):
        try:
            time.sleep(0.01)
        except BaseException:
            continue
    return os.getpid()


def waits(item: tuple[str, str, int]) -> int:
    """Note that an item was started, and wait for the gate."""
    path, gate, number = item
    note(f"{path}-pids", os.getpid())
    note(path, number)
    wait_for(gate)
    return number


def waits_if(item: tuple[str, str, int]) -> int:
    """Wait as `waits` does, if there is something to wait for."""
    return waits(item) if item[0] else item[2]


def is_writeable(array: Any) -> tuple[bool, Any]:
    return array.flags.writeable, array


def process_id(_: object) -> int:
    return os.getpid()


def runs_for(item: tuple[str, int, float]) -> int:
    """Note that an item was started, and by which process; sleep; and note that it has ended."""
    path, number, seconds = item
    note(path, f"{number}:{os.getpid()}")
    time.sleep(seconds)
    note(f"{path}-ended", number)
    return number
