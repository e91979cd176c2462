"""Tasks that fork, and whose child comes back from the task."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from metainformant.core import parallel
from metainformant.core.parallel.backends.ipc.channel import Channel
from metainformant.core.parallel.backends.processes.pool import ProcessPool
from tests.backends import tasks
from tests.backends.processes.support import every_method, wait_until_gone

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*start_method='fork' copies:RuntimeWarning"),
]


def forget(path: str) -> bool:
    """Fork, and forget to leave in the child."""
    tasks.note(f"{path}-runs", os.getpid())
    child = os.fork()
    if child:
        tasks.note(path, child)
    return child == 0


def exec_nothing(path: str) -> str:
    child = os.fork()
    if not child:
        os.execvp("no-such-tool-here", ["no-such-tool-here"])
    tasks.note(path, child)
    return "parent"


def leave_with_a_status(path: str) -> int:
    child = os.fork()
    if not child:
        sys.exit(7)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


class ForksWhenPickled:
    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        child = os.fork()
        if child:
            tasks.note(self.path, child)
        return int, (child == 0,)


def large_after_a_fork(path: str) -> bytes:
    child = os.fork()
    if child:
        tasks.note(path, child)
    return bytes(200_000)


@every_method
@pytest.mark.parametrize(
    ("task", "value"),
    [
        (forget, False),
        (exec_nothing, "parent"),
        (ForksWhenPickled, 0),
        (large_after_a_fork, bytes(200_000)),
    ],
)
def test_the_child_is_no_worker(
    task: Callable[[str], Any], value: Any, method: Any, tmp_path: Path
) -> None:
    path = str(tmp_path / "children")
    results = parallel.process_map(task, [path] * 6, 2, chunk_size=3, start_method=method)
    assert results == [value] * 6
    children = list(map(int, tasks.notes(path)))
    assert len(children) == 6
    wait_until_gone(children)
    if task is forget:
        assert len(tasks.notes(f"{path}-runs")) == 6  # no child went on with the next item


def test_the_child_ends_with_its_own_status(tmp_path: Path) -> None:
    assert parallel.process_map(leave_with_a_status, [str(tmp_path)] * 2, 1) == [7, 7]


def fork_when_prepared(path: str) -> None:
    child = os.fork()
    if child:
        tasks.note(path, child)


def test_an_initializer_that_forks(tmp_path: Path) -> None:
    path = str(tmp_path / "children")
    options: Any = {"initializer": fork_when_prepared, "initargs": (path,)}
    assert parallel.process_map(abs, [-1, -2, -3], 1, chunk_size=1, **options) == [1, 2, 3]
    wait_until_gone(list(map(int, tasks.notes(path))))


def test_no_worker_is_forked_while_pipes_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or it would have half-closed ones, and close whatever has their numbers by then."""
    close, make = Channel.close, ProcessPool._process
    closing, forking = threading.Event(), threading.Event()
    seen: list[bool] = []
    closes: list[Channel] = []

    def slow_close(channel: Channel) -> None:
        if threading.current_thread().name == "closes":
            closes.append(channel)
            if len(closes) == 2:  # the first is the worker's end, just after the start
                closing.set()
                seen.append(forking.wait(0.5))
        close(channel)

    def make_and_tell(pool: ProcessPool, *arguments: Any) -> Any:
        if closing.is_set():
            forking.set()
        return make(pool, *arguments)

    monkeypatch.setattr(Channel, "close", slow_close)
    monkeypatch.setattr(ProcessPool, "_process", make_and_tell)
    options: Any = {"start_method": "fork"}
    first = threading.Thread(
        target=parallel.process_map, args=(abs, [1], 1), kwargs=options, name="closes"
    )
    first.start()
    assert closing.wait(30)
    assert parallel.process_map(abs, [-1], 1, **options) == [1]
    first.join(30)
    assert seen == [False]
    assert forking.is_set()
