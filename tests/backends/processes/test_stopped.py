"""A worker that is stopped half-way through a message keeps nobody else waiting."""

from __future__ import annotations

import signal
import threading
from functools import partial
from typing import Any

import pytest

from metainformant.core import parallel
from metainformant.core.parallel.backends.isolated.handle import WorkerHandle
from metainformant.core.parallel.backends.isolated.worker_set import WorkerSet
from tests.backends import tasks
from tests.backends.processes import tasks as process_tasks

if not hasattr(signal, "SIGSTOP"):
    pytest.skip("needs signals that stop a process", allow_module_level=True)


def test_while_it_sends_only_its_item_is_lost() -> None:
    results: list[Any] = parallel.process_map(
        process_tasks.stop_while_sending, range(20), 2, chunk_size=1, timeout=1
    )
    error = results[1]
    assert isinstance(error, parallel.TaskTimeoutError)
    assert [*results[:1], *results[2:]] == [0, *range(2, 20)]


def test_while_it_should_read_the_map_can_be_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    cancel = threading.Event()
    go_on = WorkerSet.send_rest_later

    def cancel_when_it_is_full(workers: WorkerSet, handle: WorkerHandle) -> None:
        go_on(workers, handle)
        if handle.channel.has_rest:
            cancel.set()

    monkeypatch.setattr(WorkerSet, "send_rest_later", cancel_when_it_is_full)
    items = [0, process_tasks.InPieces(), 0]
    first, second, third = parallel.process_map(
        process_tasks.stop_before_reading, items, 1, chunk_size=1, cancel=cancel
    )
    assert first == 0
    for error in (second, third):
        assert isinstance(error, parallel.TaskCancelledError)


def test_what_has_more_parts_than_a_pipe_has_room_for_arrives() -> None:
    """Items, the function, what workers prepare themselves with, and results."""
    many = process_tasks.InPieces()
    with parallel.Pool("process", 2, initializer=bool, initargs=(many,)) as pool:
        results = pool.map(partial(process_tasks.count_pieces, many), [many] * 2, chunk_size=1)
        assert results == [12_000] * 2
        same: list[Any] = pool.map(tasks.same, [many] * 2)
        assert [len(result) for result in same] == [6_000] * 2
