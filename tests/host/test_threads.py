"""The start of a thread, when Ctrl-C comes meanwhile."""

from __future__ import annotations

import threading

import pytest

from metainformant.core import parallel
from metainformant.core.parallel.host.threads import launch


class Interrupted(threading.Thread):
    """A thread for which the lock of its start was not held any more when Ctrl-C came."""

    def start(self) -> None:
        try:
            raise KeyboardInterrupt
        finally:
            raise RuntimeError("release unlocked lock")


class Refused(threading.Thread):
    def start(self) -> None:
        raise RuntimeError("can't start new thread")


def test_ctrl_c_while_a_thread_is_started_stays_one() -> None:
    with pytest.raises(KeyboardInterrupt):
        launch(Interrupted(), "thread_map")


def test_a_thread_that_the_system_refuses_is_told() -> None:
    with pytest.raises(parallel.ParallelError, match="thread_map can't start another"):
        launch(Refused(), "thread_map")
