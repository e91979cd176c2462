"""What only `multiprocessing` can send: connections, sockets, and locks at the start of workers."""

from __future__ import annotations

import multiprocessing
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from metainformant.core import parallel
from tests.backends.processes.support import every_method

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*multi-threaded.*fork.*:DeprecationWarning",
    "ignore:.*start_method='fork' copies:RuntimeWarning",
)


def say(where: Any) -> str:
    if isinstance(where, socket.socket):
        where.sendall(b"hello")
        where.close()
    else:
        where.send("hello")
    return type(where).__name__


def give_back(where: Any) -> Any:
    return where


@every_method
def test_connections_and_sockets(method: Any) -> None:
    reader, writer = multiprocessing.Pipe(duplex=False)
    ours, theirs = socket.socketpair()
    with reader, writer, ours, theirs:
        results = parallel.process_map(say, [writer, theirs], 1, start_method=method)
        assert results == ["Connection", "socket"]
        assert reader.recv() == "hello"
        assert ours.recv(10) == b"hello"


def make_connection(_: int) -> Any:
    return multiprocessing.Pipe()[0]


def test_a_connection_is_no_result() -> None:
    (result,) = parallel.process_map(make_connection, [1], 1)
    assert isinstance(result, parallel.ParallelError)
    assert "can be sent to a process only, among its items" in str(result)


@pytest.mark.parametrize("mode", ["r", "rb", "wb"])
def test_an_open_file_is_refused(mode: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("content")
    with path.open(mode) as file:
        refused, one = parallel.process_map(give_back, [file, 1], 1)
        assert one == 1
        assert isinstance(refused, parallel.ParallelError)
        assert str(path.name) in str(refused)
        closure = parallel.process_map(give_back, [lambda: file], 1)
        assert isinstance(closure[0], parallel.ParallelError)


def test_a_lock_is_refused_as_an_item_with_what_to_do() -> None:
    (refused,) = parallel.process_map(give_back, [multiprocessing.get_context("spawn").Lock()], 1)
    assert "initializer= and initargs=" in str(refused)


_kept: list[Any] = []


def keep(*objects: Any) -> None:
    _kept[:] = objects


def use(number: int) -> int:
    lock, (queue,), counter = _kept
    with lock:
        counter.value += 1
        queue.put(number)
    return number


@every_method
@pytest.mark.parametrize("kept", [False, True])
def test_locks_queues_and_values_at_the_start_of_workers(method: Any, kept: bool) -> None:
    context = multiprocessing.get_context(method or "spawn")  # the default is never to fork
    lock, queue, counter = context.Lock(), context.SimpleQueue(), context.Value("i")
    options: Any = {"initializer": keep, "initargs": (lock, (queue,), counter)}
    if kept:
        with parallel.Pool("process", 2, start_method=method, **options) as pool:
            assert pool.map(use, range(6), chunk_size=1) == list(range(6))
    else:
        results = parallel.process_map(use, range(6), 2, start_method=method, **options)
        assert results == list(range(6))
    assert counter.value == 6
    assert sorted(queue.get() for _ in range(6)) == list(range(6))
    queue.close()


def test_locks_for_forks_alone_are_told_from_others() -> None:
    lock = multiprocessing.get_context("fork").Lock()
    with pytest.raises(parallel.ParallelError, match=r"get_context\('forkserver'\)"):
        parallel.process_map(abs, [1], 1, initializer=keep, initargs=(lock,))


def test_what_cannot_be_inherited_is_named() -> None:
    options: Any = {"initializer": keep, "initargs": (1, threading.Lock())}
    with pytest.raises(
        parallel.ParallelError, match=r"process_map: initargs=\(1, <unlocked.*can.t be pickled"
    ):
        parallel.process_map(abs, [1], 1, **options)
