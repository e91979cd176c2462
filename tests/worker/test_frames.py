"""Tracebacks and stacks begin in the task."""

from __future__ import annotations

import threading
import traceback
from typing import Any

from metainformant.core import parallel
from metainformant.core.parallel.host.gil import HAS_GIL
from metainformant.core.parallel.worker.frames import own_code
from metainformant.core.parallel.worker.setup import with_state


def test_the_frame_to_leave_out_is_the_one_that_passes_the_state() -> None:
    call_with_state: Any = with_state(print, None)
    assert call_with_state.__code__ in own_code


def test_tracebacks_and_stacks_begin_in_the_task() -> None:
    release = threading.Event()

    def task(item: int, state: object) -> None:
        if item:
            release.wait(60)
        raise ValueError

    try:
        failed, stuck = parallel.thread_map(task, [0, 1], 2, timeout=0.3, worker_state=object)
    finally:
        release.set()
    assert isinstance(failed, ValueError)
    names = [frame.name for frame in traceback.extract_tb(failed.__traceback__)]
    assert isinstance(stuck, parallel.TaskTimeoutError)
    if HAS_GIL:
        assert names == ["task"]
        assert "call_with_state" not in stuck.stack
        assert "in task" in stuck.stack
    else:
        assert names[-1] == "task"
