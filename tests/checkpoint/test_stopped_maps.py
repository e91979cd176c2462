"""Maps that are stopped, or whose checkpoint fails: what was finished is recorded."""

from __future__ import annotations

import _thread
import os
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from metainformant.core import parallel
from metainformant.core.parallel import Checkpoint, CheckpointError
from metainformant.core.parallel.checkpoint.store import Store
from metainformant.core.parallel.checkpoint.writer import Writer

from . import tasks


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


def recorded(checkpoint: Checkpoint) -> list[int]:
    return sorted(int(entry.item) for entry in checkpoint.outcomes() if entry.failure is None)


class Gate:
    """A function whose items from `first` on wait until the map has been stopped."""

    def __init__(self, first: int, stop: Callable[[], object] = lambda: None) -> None:
        self.first = first
        self.stop = stop
        self.opened = threading.Event()
        self.finished: list[int] = []

    def __call__(self, item: int) -> int:
        if item == self.first:
            self.stop()
        if item >= self.first:
            self.opened.wait(30)
        else:
            self.finished.append(item)
        return item


def stopped(gate: Gate, checkpoint: Checkpoint, **options: Any) -> BaseException:
    """Run a map that is stopped at the gate; return what it raises."""
    try:
        with pytest.raises(BaseException) as caught:  # noqa: PT011  # the caller looks at it
            parallel.thread_map(
                gate, range(20), 2, chunk_size=1, checkpoint=checkpoint, on_error="skip", **options
            )
        return caught.value
    finally:
        gate.opened.set()


def test_a_deadline(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "run.db", name="gate")
    gate = Gate(10)
    error = stopped(gate, checkpoint, deadline=2)
    assert isinstance(error, parallel.TaskCancelledError)
    assert error.results == list(range(10))
    assert recorded(checkpoint) == list(range(10))
    gate = Gate(20)
    assert parallel.thread_map(gate, range(20), checkpoint=checkpoint) == list(range(20))
    assert sorted(gate.finished) == list(range(10, 20))


def test_cancel(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "run.db", name="gate")
    cancel = threading.Event()
    error = stopped(Gate(10, cancel.set), checkpoint, cancel=cancel)
    assert isinstance(error, parallel.TaskCancelledError)
    assert recorded(checkpoint) == error.results
    assert len(recorded(checkpoint)) >= 8


def test_ctrl_c_while_the_last_outcomes_are_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the second often does, for the first ends the map."""
    checkpoint = Checkpoint(tmp_path / "run.db", name="gate")
    closing = threading.Event()
    close, write = Writer.close, Store.write

    def close_and_tell(writer: Writer[Any]) -> None:
        closing.set()
        close(writer)

    def interrupt_and_write(store: Store, *arguments: Any) -> None:
        if not closing.is_set():
            closing.wait(30)
            _thread.interrupt_main()
            until = time.monotonic() + 0.5  # in which whoever does not wait closes the file
            while not store._is_closed and time.monotonic() < until:
                time.sleep(0.01)
        write(store, *arguments)

    monkeypatch.setattr(Writer, "close", close_and_tell)
    monkeypatch.setattr(Store, "write", interrupt_and_write)
    error = stopped(Gate(20), checkpoint)
    assert isinstance(error, KeyboardInterrupt)
    assert recorded(checkpoint) == list(range(20))
    assert error.results == list(range(20))  # type: ignore[attr-defined]
    (status,) = checkpoint.status().runs
    assert status.interrupted == 0  # the file was closed in order


def test_ctrl_c(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "run.db", name="gate")
    gate = Gate(10)
    told: list[int] = []

    def tell(index: int, item: int, result: int) -> None:
        told.append(item)
        if len(told) == 10:
            _thread.interrupt_main()

    error = stopped(gate, checkpoint, on_complete=tell)
    assert isinstance(error, KeyboardInterrupt)
    assert recorded(checkpoint) == list(range(10))
    assert error.results == list(range(10))  # type: ignore[attr-defined]
    (status,) = checkpoint.status().runs
    assert status.interrupted == 0  # the file was closed in order


def test_too_many_failures(tmp_path: Path, log: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "run.db")
    task = partial(tasks.noted_or_failed, log)
    with pytest.raises(parallel.TooManyFailuresError):
        parallel.thread_map(
            task, range(100), chunk_size=1, checkpoint=checkpoint, max_failures=5, on_error="skip"
        )
    run = tasks.noted_items(log)
    assert len(run) < 100
    (status,) = checkpoint.status().runs
    assert status.ok + status.failed >= len(run) - 8  # those in flight are not waited for


def test_recorded_failures_count_for_max_failures(tmp_path: Path, log: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "run.db", failures="keep")
    task = partial(tasks.noted_or_failed, log)
    parallel.thread_map(task, range(10), checkpoint=checkpoint)
    with pytest.raises(parallel.TooManyFailuresError):
        parallel.thread_map(task, range(20), checkpoint=checkpoint, max_failures=4, on_error="skip")


def test_a_callback_that_raises(tmp_path: Path, log: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "run.db")

    def fail(*_: object) -> None:
        raise LookupError("of the callback")

    with pytest.raises(LookupError):
        parallel.thread_map(
            partial(tasks.noted, log),
            range(10),
            chunk_size=1,
            checkpoint=checkpoint,
            on_complete=fail,
        )
    assert recorded(checkpoint)


def test_a_result_that_cannot_be_pickled_is_a_failure_of_its_item(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "run.db", failures="keep")
    for _ in range(2):
        results = parallel.thread_map(maybe_a_lock, range(4), checkpoint=checkpoint)
        assert results[0::2] == [0, 2]
        for error in results[1::2]:
            assert isinstance(error, CheckpointError)
            assert "can't be pickled" in str(error)
            assert "Return plain values" in str(error)
    with pytest.raises(CheckpointError, match="can't be pickled"):
        list(parallel.imap(maybe_a_lock, range(4), checkpoint=checkpoint, on_error="raise"))


def maybe_a_lock(item: int) -> Any:
    return threading.Lock() if item % 2 else item


def test_what_is_told_is_in_the_file_already(tmp_path: Path, log: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "run.db", file_system="local")
    told: list[int] = []

    def tell(index: int, item: int, result: object) -> None:
        told.append(item)
        assert threading.current_thread() is threading.main_thread()
        assert item in recorded(checkpoint)

    parallel.thread_map(
        partial(tasks.noted, log), range(10), chunk_size=1, checkpoint=checkpoint, on_complete=tell
    )
    assert sorted(told) == list(range(10))


class FullDisk:
    """A disk that is full after some commits."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, commits: int) -> None:
        write = Store.write
        self.left = commits
        self.is_full = threading.Event()

        def checked(store: Store, session: int, rows: Any) -> None:
            if not self.left:
                self.is_full.set()
                raise CheckpointError(
                    f"{store.path} can't be written: the disk is full", store.path
                )
            self.left -= 1
            write(store, session, rows)

        monkeypatch.setattr(Store, "write", checked)


class TestAFullDisk:
    def test_it_stops_the_map_at_once(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        disk = FullDisk(monkeypatch, 0)
        path = tmp_path / "run.db"

        def task(item: int) -> int:
            if item == 5:
                assert disk.is_full.wait(30)
            if item > 5:
                ended.wait(30)  # nothing but the failed commit can end the map
            return item

        ended = threading.Event()
        try:
            with pytest.raises(CheckpointError, match="the disk is full") as caught:
                parallel.thread_map(
                    task, range(20), 2, chunk_size=1, checkpoint=Checkpoint(path, name="task")
                )
        finally:
            ended.set()
        results = caught.value.results
        assert results is not None
        assert len(results) == 20
        assert any(type(value) is int for value in results)  # found, even though not recorded
        for item, value in enumerate(results):
            if type(value) is int:
                assert value == item <= 5
            else:
                assert isinstance(value, parallel.TaskCancelledError)
                assert "the disk is full" in str(value)

    def test_at_the_last_commit(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        FullDisk(monkeypatch, 0)
        told: list[int] = []
        with pytest.raises(CheckpointError, match="the disk is full") as caught:
            parallel.thread_map(
                abs, [1], checkpoint=tmp_path / "run.db", on_complete=lambda *_: told.append(1)
            )
        assert caught.value.results == [1]  # found, even though it is not recorded
        assert not told

    def test_of_a_stream(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        FullDisk(monkeypatch, 1)
        delivered: list[Any] = []
        results = parallel.imap(abs, range(1000), chunk_size=1, checkpoint=tmp_path / "run.db")
        with pytest.raises(CheckpointError, match="the disk is full"):
            delivered.extend(iter(results))
        assert recorded(Checkpoint(tmp_path / "run.db"))[: len(delivered)] == delivered


def test_a_file_that_is_deleted_under_the_run(tmp_path: Path) -> None:
    path = tmp_path / "run.db"

    def task(item: int) -> int:
        if item == 50:
            path.unlink()
        return item

    with pytest.raises(CheckpointError, match="was deleted or replaced") as caught:
        parallel.thread_map(
            task, range(1000), 2, chunk_size=1, checkpoint=Checkpoint(path, name="task")
        )
    assert caught.value.results is not None
    assert caught.value.results[:50] == list(range(50))


def test_two_runs_at_once_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.db"

    def task(item: int) -> int:
        with pytest.raises(CheckpointError, match=f"run of process {os.getpid()} on"):
            parallel.thread_map(abs, [1], checkpoint=path)
        return item

    assert parallel.thread_map(task, [1], checkpoint=Checkpoint(path, name="task")) == [1]


@pytest.mark.parametrize("path", [".", "no/such/folder/run.db"])
def test_a_place_that_cannot_be_written(tmp_path: Path, path: str) -> None:
    with pytest.raises(CheckpointError):
        parallel.thread_map(abs, [1], checkpoint=tmp_path / path)
    with pytest.raises(CheckpointError):
        list(parallel.imap(abs, [1], checkpoint=tmp_path / path))
    assert threading.active_count() < 50


def test_a_damaged_piece_is_told(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    parallel.thread_map(str, range(1000), checkpoint=path)
    import sqlite3

    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE piece SET results = replace(results, '9', '8')")
    connection.close()
    for run in (parallel.thread_map, lambda *a, **more: list(parallel.imap(*a, **more))):
        with pytest.raises(CheckpointError, match="is damaged"):
            run(str, range(1000), checkpoint=path)
    assert not [thread for thread in threading.enumerate() if "checkpoint" in thread.name]
