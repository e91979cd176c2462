"""The writer hands on what is in the file, in order, and nothing else."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from metainformant.core.parallel.checkpoint import codec
from metainformant.core.parallel.checkpoint.errors import CheckpointError
from metainformant.core.parallel.checkpoint.pieces import Record, Row
from metainformant.core.parallel.checkpoint.reading import Reader
from metainformant.core.parallel.checkpoint.store import Store
from metainformant.core.parallel.checkpoint.writer import Writer


class GatedStore(Store):
    """A store whose commits wait for `gate`, and fail with `failure`."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.gate = threading.Event()
        self.waits = threading.Semaphore(0)
        self.failure: BaseException | None = None
        self.groups: list[int] = []

    def write(self, session: int, rows: Iterable[Row]) -> None:
        rows = list(rows)
        self.waits.release()
        assert self.gate.wait(30)
        if self.failure is not None:
            raise self.failure
        super().write(session, rows)
        self.groups.append(len(rows))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[GatedStore]:
    store = GatedStore(tmp_path / "run.db")
    yield store
    store.close()


def session(store: Store) -> int:
    return store.begin_session("f", None, "code")[1]


def record(*values: Any, failed: dict[int, BaseException] | None = None) -> Record:
    keys = [f"{value!r}"[:40] for value in values]
    return Record(keys, keys, list(values), failed or {})


def results(path: str) -> list[Any]:
    with Reader(path) as reader:
        rows = [reader.read(head.id) for head in reader.heads(1)]
    return [codec.decode_results(row.results, codec.unpickle) for row in rows]


def test_nothing_is_handed_on_before_it_is_in_the_file(store: GatedStore) -> None:
    done: list[int] = []
    writer = Writer(store, session(store), done.extend)
    writer.start()
    writer.put(record(1), 1)
    assert store.waits.acquire(timeout=30)
    writer.put(record(2), 2)
    writer.put(record(3), 3)
    assert done == []
    assert writer.uncommitted() == [2, 3]  # the first one may be in the file any moment
    writer.put(record(2), 2)
    writer.put(record(3), 3)
    store.gate.set()
    writer.close()
    assert done == [1, 2, 3]
    assert store.groups == [1, 2]  # what came during a commit is written by the next one
    assert results(store.path) == [[1], [2], [3]]


def test_when_handed_on_it_is_in_the_file(store: GatedStore) -> None:
    store.gate.set()
    seen: list[tuple[int, int]] = []

    def committed(tokens: list[int]) -> None:
        seen.extend((token, len(results(store.path))) for token in tokens)

    writer = Writer(store, session(store), committed)
    writer.start()
    for number in range(200):
        writer.put(record(number), number)
    writer.close()
    assert [token for token, _ in seen] == list(range(200))
    assert all(token < count for token, count in seen)


def test_a_failure_to_write_keeps_everything_from_being_handed_on(store: GatedStore) -> None:
    done: list[int] = []
    woken = threading.Event()
    writer = Writer(store, session(store), done.extend, woken.set)
    writer.start()
    store.failure = failure = CheckpointError("the disk is full", store.path)
    for number in range(3):
        writer.put(record(number), number)
    store.gate.set()
    assert woken.wait(30)
    assert writer.error is failure
    with pytest.raises(CheckpointError, match="the disk is full"):
        writer.put(record(3), 3)
    assert sorted(writer.uncommitted()) == [0, 1, 2]
    with pytest.raises(CheckpointError, match="the disk is full"):
        writer.close()
    assert done == []


def test_any_error_of_the_writer_is_a_failure_to_write(store: GatedStore) -> None:
    writer: Writer[int] = Writer(store, session(store), lambda tokens: None)
    writer.start()
    store.failure = MemoryError("none left")
    store.gate.set()
    writer.put(record(1), 1)
    with pytest.raises(CheckpointError, match="MemoryError: none left") as caught:
        writer.close()
    assert caught.value.__cause__ is store.failure


def test_a_result_that_cannot_be_pickled_costs_its_own_slot(store: GatedStore) -> None:
    store.gate.set()
    done: list[Record] = []
    writer = Writer(store, session(store), done.extend)
    writer.start()
    lock = threading.Lock()
    piece = record((1,), lock, (3,))
    writer.put(piece, piece)
    writer.close()
    assert done == [piece]
    first, failed, third = piece.values
    assert (first, third) == ((1,), (3,))
    assert isinstance(failed, CheckpointError)
    assert "lock" in str(failed)
    assert "can't be pickled" in str(failed)
    assert piece.failed == {1: failed}
    with Reader(store.path) as reader:
        row = reader.read(1)
    assert (row.failed, row.failed_at) == (1, "[1]")


def test_who_hands_out_work_learns_when_too_much_waits(store: GatedStore) -> None:
    woken = threading.Event()
    writer: Writer[int] = Writer(
        store, session(store), lambda tokens: None, woken.set, max_waiting=100_000
    )
    writer.start()
    writer.put(record(b"x" * 50_000), 1)
    assert not writer.is_full
    writer.put(record(b"x" * 60_000), 2)
    assert writer.is_full
    assert not woken.is_set()
    store.gate.set()
    assert woken.wait(30)
    assert not writer.is_full
    writer.close()


def test_what_is_not_seen_at_first_is_learned(store: GatedStore) -> None:
    store.gate.set()
    written = threading.Semaphore(0)
    writer: Writer[int] = Writer(
        store, session(store), lambda tokens: written.release(len(tokens)), max_waiting=100_000
    )
    writer.start()
    # Its size can't be seen from outside.
    writer.put(record([["x" * 60_000]]), 1)
    assert written.acquire(timeout=30)
    store.gate.clear()
    writer.put(record([["x" * 60_000]]), 2)
    writer.put(record([["x" * 60_000]]), 3)
    assert writer.is_full
    store.gate.set()
    writer.close()


def test_closing_ends_the_thread(store: GatedStore) -> None:
    store.gate.set()
    before = set(threading.enumerate())
    writer: Writer[int] = Writer(store, session(store), lambda tokens: None)
    writer.start()
    writer.close()
    writer.close()
    assert set(threading.enumerate()) == before
