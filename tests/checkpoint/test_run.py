"""Resuming: what is recorded is not run again, whatever happened to the input in between."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metainformant.core.parallel.checkpoint.config import Checkpoint
from metainformant.core.parallel.checkpoint.errors import (
    CheckpointError,
    CheckpointWarning,
    RepeatedlyKilledError,
)
from metainformant.core.parallel.checkpoint.in_flight import _left_behind
from metainformant.core.parallel.checkpoint.lock import WriterLock
from metainformant.core.parallel.checkpoint.occurrences import Occurrences
from metainformant.core.parallel.checkpoint.run import DurableRun
from tests.support import examples

from .tasks import Recorder, double, fail_at_odd, run_map

ITEMS = st.lists(
    st.integers(0, 9) | st.booleans() | st.floats(0, 3) | st.text("ab", max_size=2) | st.none(),
    max_size=12,
)


def name_of(item: Any) -> str:
    return repr(item)


@examples(0.6)
@given(ITEMS, ITEMS, st.integers(1, 5), st.none() | st.integers(1, 5))
def test_only_what_is_not_recorded_runs(
    tmp_path_factory: pytest.TempPathFactory,
    first: list[Any],
    second: list[Any],
    piece: int,
    size: int | None,
) -> None:
    checkpoint = Checkpoint(tmp_path_factory.mktemp("run") / "run.db")
    assert run_map(checkpoint, name_of, first, piece, size) == list(map(name_of, first))
    recorder = Recorder(name_of)
    assert run_map(checkpoint, recorder, second, piece, size) == list(map(name_of, second))
    # An item runs for every occurrence that is more than there were the first time.
    once = list(map(repr, first))
    new = []
    for item in map(repr, second):
        if item in once:
            once.remove(item)
        else:
            new.append(item)
    assert sorted(map(repr, recorder.items)) == sorted(new)


def test_reordering_adding_and_removing_costs_only_the_new_ones(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "run.db")
    run_map(checkpoint, double, range(100))
    items = [*range(50, 110), *range(40)]
    random.Random(1).shuffle(items)
    recorder = Recorder()
    assert run_map(checkpoint, recorder, items) == [item * 2 for item in items]
    assert sorted(recorder.items) == list(range(100, 110))


@pytest.mark.parametrize("size", [1, 2, 7, 100])
def test_occurrences_are_counted_over_blocks(size: int) -> None:
    marks: list[Any] = [1, 2, 1, "1", 3, 1, 2, b"x" * 16, b"x" * 16]
    counter = Occurrences()
    keys: list[Any] = []
    for at in range(0, len(marks), size):
        keys.extend(counter.keys(marks[at : at + size]))
    assert keys == [1, 2, (1, 1), "1", 3, (1, 2), (2, 1), b"x" * 16, (b"x" * 16, 1)]


def test_each_occurrence_has_an_outcome_of_its_own(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "run.db")
    numbers = iter(range(100))

    def count(item: str) -> int:
        return next(numbers)

    first = run_map(checkpoint, count, ["a", "b", "a", "a"], 1)
    assert run_map(checkpoint, count, ["a", "a", "b", "a"], 1) == [0, 2, 1, 3]
    assert first == [0, 1, 2, 3]


def test_failures_run_again(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "run.db")
    slots = run_map(checkpoint, fail_at_odd, range(5))
    assert [type(slot) for slot in slots] == [int, ValueError, int, ValueError, int]
    recorder = Recorder(fail_at_odd)
    slots = run_map(checkpoint, recorder, range(5))
    assert recorder.items == [1, 3]
    assert [type(slot) for slot in slots] == [int, ValueError, int, ValueError, int]
    run_map(checkpoint, double, [1])  # another function
    with pytest.warns(CheckpointWarning, match="^3 results of"):
        slots = run_map(Checkpoint(checkpoint.path, name=name(fail_at_odd)), double, range(5))
    assert slots == [0, 2, 4, 6, 8]
    accept = Checkpoint(checkpoint.path, on_change="accept")
    assert run_map(accept, fail_at_odd, [3]) == [6]  # which the other code recorded


def name(func: Callable[..., Any]) -> str:
    return f"{func.__module__}.{func.__qualname__}"


def test_failures_may_be_kept(tmp_path: Path) -> None:
    run_map(Checkpoint(tmp_path / "run.db"), fail_at_odd, range(5))
    recorder = Recorder(fail_at_odd)
    slots = run_map(Checkpoint(tmp_path / "run.db", failures="keep"), recorder, range(7))
    assert recorder.items == [5, 6]
    assert str(slots[3]) == "3 is odd"
    assert type(slots[3]) is ValueError
    assert "in fail_at_odd" in slots[3].__notes__[-1]


def changed(factor: int) -> Callable[[int], int]:
    def scale(item: int) -> int:
        return item * factor

    return scale


def test_results_of_other_code_are_kept_and_told_once(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    run_map(Checkpoint(path), changed(2), range(4))
    with pytest.warns(CheckpointWarning) as caught:
        slots = run_map(Checkpoint(path), changed(3), range(6))
    assert slots == [0, 2, 4, 6, 12, 15]
    (warning,) = caught
    text = str(warning.message)
    assert text.startswith(
        f"4 results of {__name__}.changed.<locals>.scale in {path} were recorded with other code"
    )
    assert "on_change='accept'" in text
    assert "version=" in text
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        slots = run_map(Checkpoint(path, on_change="accept"), changed(4), range(6))
    assert slots == [0, 2, 4, 6, 12, 15]


def test_results_of_other_code_may_run_again_or_raise(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    run_map(Checkpoint(path), changed(2), range(4))
    with pytest.raises(CheckpointError, match="4 results of"):
        run_map(Checkpoint(path, on_change="raise"), changed(3), range(4))
    assert run_map(Checkpoint(path, on_change="rerun"), changed(3), range(5)) == [0, 3, 6, 9, 12]
    recorder = Recorder(changed(3))
    assert run_map(Checkpoint(path, on_change="raise"), recorder, range(5)) == [0, 3, 6, 9, 12]
    assert recorder.items == []


def test_a_version_is_part_of_the_identity(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    run_map(Checkpoint(path), changed(2), range(3))
    assert run_map(Checkpoint(path, version="2"), changed(3), range(3)) == [0, 3, 6]
    assert run_map(Checkpoint(path), changed(2), range(3)) == [0, 2, 4]
    recorder = Recorder(changed(3))
    assert run_map(Checkpoint(path, version="2"), recorder, range(3)) == [0, 3, 6]
    assert recorder.items == []


def test_one_file_holds_several_runs(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    assert run_map(Checkpoint(path), double, range(3)) == [0, 2, 4]
    assert run_map(Checkpoint(path), name_of, range(3)) == ["0", "1", "2"]
    assert run_map(Checkpoint(path, name="other"), name_of, [0, 7]) == ["0", "7"]
    recorder = Recorder()
    assert run_map(Checkpoint(path), recorder, range(3)) == [0, 2, 4]
    assert recorder.items == []


def test_items_are_told_apart_by_key(tmp_path: Path) -> None:
    def name_of_gene(gene: dict[str, Any]) -> Any:
        return gene["name"]

    checkpoint = Checkpoint(tmp_path / "run.db", key=lambda gene: gene["id"])
    run_map(checkpoint, name_of_gene, [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}])
    items = [{"id": 2, "name": "changed"}, {"id": 3, "name": "c"}]
    assert run_map(checkpoint, name_of_gene, items) == ["b", "c"]


def test_an_item_without_a_key_leaves_the_file_free(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "run.db")
    with pytest.raises(TypeError, match="has no key"):
        run_map(checkpoint, name_of, [object()])
    assert run_map(checkpoint, name_of, [1]) == ["1"]


def killed_run(
    path: Path,
    func: Callable[[Any], Any],
    *chunks: list[Any],
    back: Sequence[tuple[int, int]] = (),
) -> None:
    """What a process leaves that is killed when these chunks are in flight.

    `back` has start and number of items that have come back, and are not in the file yet.
    """
    items = [item for chunk in chunks for item in chunk]
    run = DurableRun(Checkpoint(path), func)
    block = run.admit(items)
    at = 0
    for chunk in chunks:
        run.begun(block, at, at + len(chunk))
        at += len(chunk)
    for start, count in back:
        for index in range(start, start + count):
            run._in_flight.ended(index, 1)
    left = Path(f"{path}.lock").read_text()
    run._store._connection.close()
    run._store.lock.release()
    Path(f"{path}.lock").write_text(left)


def test_an_item_in_flight_at_five_kills_is_a_failure(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    for _ in range(4):
        killed_run(path, double, [666.5], [1])
        run_map(Checkpoint(path), double, [1])
        assert run_map(Checkpoint(path), double, []) == []
    killed_run(path, double, [666.5])
    for _ in range(2):  # it stays one
        recorder = Recorder()
        slots = run_map(Checkpoint(path), recorder, [5, 666.5, 1, 6])
        assert slots[0::2] == [10, 2]
        assert 666.5 not in recorder.items
        assert isinstance(slots[1], RepeatedlyKilledError)
        assert "item 666.5 was in flight at 5 kills of this run in a row" in str(slots[1])
        assert slots[1].kills == 5
    Checkpoint(path).reset_kills()
    assert run_map(Checkpoint(path), double, [666.5]) == [1333.0]


def test_kills_count_only_in_a_row(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    for _ in range(4):
        killed_run(path, double, [7])
    killed_run(path, double, [8])
    killed_run(path, double, [7])
    assert run_map(Checkpoint(path), double, [7, 8]) == [14, 16]


def test_neighbours_in_a_chunk_are_handed_out_one_by_one_and_not_given_up(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    for _ in range(7):
        killed_run(path, double, [1, 2, 3])
    run = DurableRun(Checkpoint(path), double)
    block = run.admit([0, 1, 2, 5, 3, 6, 7])
    assert [span[:2] for span in block.spans] == [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 7)]
    assert {span.piece for span in block.spans} == {None}
    run.close()


def test_what_has_come_back_was_not_in_flight(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    for _ in range(3):
        killed_run(path, fail_at_odd, [1], [2], [4, 5], back=[(0, 2), (3, 1)])
    run = DurableRun(Checkpoint(path), fail_at_odd)
    assert run._kills == {4: 1}
    run.close()


def test_notes_of_what_is_finished_are_dropped(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    run = DurableRun(Checkpoint(path), double)
    items = [f"{'x' * 40}{number:08d}" for number in range(60_000)]
    block = run.admit(items)
    lock = Path(f"{path}.lock")
    for start in range(0, len(items), 100):
        run.begun(block, start, start + 100)
        if start >= 200:  # all but the last three chunks, each in two parts
            run._in_flight.ended(start - 200, 60)
            run._in_flight.ended(start - 140, 40)
        assert lock.stat().st_size < 1_500_000
    left = lock.read_text()
    run.close()
    lock.write_text(left)
    taken = WriterLock(str(path))
    _, flying = _left_behind(taken.left_behind)
    assert list(flying) == [(item, False) for item in items[-200:]]
    taken.release()


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"path": 3}, TypeError, "path=3"),
        ({"path": b"x"}, TypeError, "path=b'x'"),
        ({"path": ""}, ValueError, "path=''"),
        ({"path": "x", "key": 1}, TypeError, "key=1"),
        ({"path": "x", "name": 1}, TypeError, "name=1"),
        ({"path": "x", "version": 2}, TypeError, "version=2"),
        ({"path": "x", "failures": "no"}, ValueError, "'retry', 'keep'"),
        ({"path": "x", "on_change": "no"}, ValueError, "'warn', 'accept', 'rerun', 'raise'"),
        ({"path": "x", "file_system": "no"}, ValueError, "'local', 'network'"),
    ],
)
def test_wrong_arguments_are_told(arguments: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=r"^Checkpoint: ") as caught:
        Checkpoint(**arguments)
    assert text in str(caught.value)
