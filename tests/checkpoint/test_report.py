"""What a checkpoint tells about itself."""

from __future__ import annotations

import os
import pickle
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from metainformant.core.parallel.checkpoint.config import Checkpoint
from metainformant.core.parallel.checkpoint.errors import CheckpointError, CheckpointWarning
from metainformant.core.parallel.checkpoint.run import DurableRun

from .tasks import double, fail_at_odd, run_map
from .test_run import changed, killed_run


def test_status_counts_the_last_outcomes(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    run_map(Checkpoint(path), fail_at_odd, range(5))
    run_map(Checkpoint(path), fail_at_odd, range(7))
    run_map(Checkpoint(path, version="2"), double, range(3))
    found = Checkpoint(path).status()
    assert found.path == str(path)
    assert found.size == path.stat().st_size
    assert (found.owner, found.running) == (None, False)
    first, second = found.runs
    assert first.name == f"{fail_at_odd.__module__}.fail_at_odd"
    assert (first.version, first.ok, first.failed, first.killed) == (None, 4, 3, 0)
    assert list(first.codes.values()) == [7]
    assert (first.sessions, first.interrupted) == (2, 0)
    assert (second.version, second.ok, second.failed) == ("2", 3, 0)
    (only,) = Checkpoint(path, version="2").status().runs
    assert only == second


def test_status_while_a_run_writes(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    run = DurableRun(Checkpoint(path), double)
    block = run.admit([1, 2])
    written = threading.Event()
    run.start_writer(lambda tokens: written.set())
    run.record(None, block, 0, [2, 4], {})
    assert written.wait(30)
    found = Checkpoint(path).status()
    assert found.running
    assert found.owner is not None
    assert found.owner.pid == os.getpid()
    assert found.runs[0].ok == 2
    assert (found.runs[0].writing, found.runs[0].interrupted) == (True, 0)
    run.close()
    after = Checkpoint(path).status()
    assert not after.running
    assert (after.runs[0].writing, after.runs[0].interrupted) == (False, 0)


def test_status_after_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    killed_run(path, double, [1])
    found = Checkpoint(path).status()
    assert not found.running
    assert found.owner is not None
    assert found.runs[0].interrupted == 1
    run = DurableRun(Checkpoint(path), double)
    (resumed,) = Checkpoint(path).status().runs
    assert (resumed.sessions, resumed.interrupted, resumed.writing) == (2, 1, True)
    run.close()


def test_status_counts_outcomes_of_earlier_code(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    run_map(Checkpoint(path), changed(2), range(4))
    run_map(Checkpoint(path, on_change="accept"), changed(3), range(6))
    (run,) = Checkpoint(path).status().runs
    assert (sorted(run.codes.values()), run.earlier) == ([2, 4], 4)


def test_a_run_that_is_not_there_is_told(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    run_map(Checkpoint(path, name="first", version="1"), double, [1])
    wanted = r"has no run 'other' with version '2'; it has: first, version 1"
    with pytest.raises(CheckpointError, match=wanted):
        Checkpoint(path, name="other", version="2").status()
    with pytest.raises(CheckpointError, match=r"has no run 'odd.udcff'"):
        list(Checkpoint(path, name="odd\udcff").outcomes())
    with pytest.raises(CheckpointError, match="has no run with version '2'"):
        list(Checkpoint(path, version="2").failures())


@pytest.mark.skipif(os.name != "posix", reason="names of files are text elsewhere")
def test_a_name_that_is_not_utf8(tmp_path: Path) -> None:
    path = Path(f"{tmp_path}/odd\udcff ?#%.db")
    run_map(Checkpoint(path), double, [1])
    assert Checkpoint(path).status().runs[0].ok == 1


def test_a_plan_keeps_no_items(tmp_path: Path) -> None:
    kept: list[weakref.ref[Large]] = []

    def items() -> Iterator[Large]:
        for number in range(10_000):
            item = Large(number)
            if number == 0:
                kept.append(weakref.ref(item))
            yield item
        assert kept[0]() is None

    checkpoint = Checkpoint(tmp_path / "run.db", key=lambda item: (item.number,))
    run_map(checkpoint, number_of, [Large(0), Large(5000), Large(-1)])
    plan = checkpoint.plan(number_of, items())
    assert (plan.finished, plan.new, plan.gone) == (2, 9998, 1)


def test_equal_items_of_two_slices_are_told_apart(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "run.db")
    run_map(checkpoint, double, [7])
    plan = checkpoint.plan(double, iter([7] * 5000))
    assert (plan.finished, plan.new) == (1, 4999)


class Large:
    def __init__(self, number: int) -> None:
        self.number = number


def number_of(item: Large) -> int:
    return item.number


def test_a_plan_says_what_would_run(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    checkpoint = Checkpoint(path)
    assert checkpoint.plan(double, range(3)) == (0, 0, 0, 3, 0, 0)
    assert os.listdir(tmp_path) == []
    run_map(checkpoint, fail_at_odd, range(6))
    plan = checkpoint.plan(fail_at_odd, [0, 1, 2, 2, 100])
    assert plan._asdict() == {
        "finished": 2,
        "retried": 1,
        "killed": 0,
        "new": 2,
        "earlier": 0,
        "gone": 1,
    }
    kept = Checkpoint(path, failures="keep").plan(fail_at_odd, range(6))
    assert (kept.finished, kept.retried, kept.new) == (6, 0, 0)
    assert checkpoint.plan(double, range(3)).new == 3
    assert Checkpoint(path, version="2").plan(fail_at_odd, range(3)).new == 3


def test_a_plan_says_what_comes_from_other_code(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "run.db")
    run_map(checkpoint, changed(2), range(4))
    assert checkpoint.plan(changed(3), range(5))[:5] == (4, 0, 0, 1, 4)
    rerun = Checkpoint(tmp_path / "run.db", on_change="rerun")
    assert rerun.plan(changed(3), range(5)).new == 5


def test_a_plan_counts_what_was_killed(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    for _ in range(5):
        killed_run(path, double, [7])
    run_map(Checkpoint(path), double, [1])
    plan = Checkpoint(path).plan(double, [7, 1, 2])
    assert (plan.finished, plan.killed, plan.new) == (1, 1, 1)
    assert Checkpoint(path).status().runs[0].killed == 1


def test_outcomes_are_the_last_ones(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    run_map(Checkpoint(path), fail_at_odd, [1, 2])
    name = f"{fail_at_odd.__module__}.fail_at_odd"
    with pytest.warns(CheckpointWarning):
        run_map(Checkpoint(path, name=name), double, [1, 2, 3])
    entries = list(Checkpoint(path).outcomes())
    assert [(entry.item, entry.value) for entry in entries] == [("2", 4), ("1", 2), ("3", 6)]
    assert all(entry.failure is None for entry in entries)
    assert list(Checkpoint(path).failures()) == []


def test_failures_are_told_with_all_that_is_known(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    run = DurableRun(Checkpoint(path), double)
    block = run.admit([(1, "a"), (2, "b")])
    run.start_writer(lambda tokens: None)
    error = ValueError("bad")
    error.add_note("a note")
    times = [100.0, 101.5, 104.0]
    run.record(None, block, 0, [1, error], {1: error}, 3, "thread-1", times)
    run.close()
    ok, failed = Checkpoint(path).outcomes()
    assert (ok.item, ok.value, ok.started, ok.seconds) == ('[1,"a"]', 1, 100.0, 1.5)
    assert failed.failure is not None
    assert failed.failure[1:4] == ("builtins.ValueError", "bad", ["a note"])
    assert failed.value is None
    assert (failed.attempts, failed.worker) == (3, "thread-1")
    assert (failed.started, failed.seconds) == (101.5, 2.5)
    assert [entry.item for entry in Checkpoint(path).failures()] == ['[2,"b"]']


class Armed:
    """Its pickle writes a file when it is loaded."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return open, (self.path, "w")


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_pickles_are_loaded_only_when_that_is_allowed(tmp_path: Path) -> None:
    path, fired = tmp_path / "run.db", tmp_path / "fired"
    run = DurableRun(Checkpoint(path), double)
    block = run.admit([1, 2, 3])
    run.start_writer(lambda tokens: None)
    error = ValueError(Armed(str(fired)))
    fired.unlink(missing_ok=True)
    run.record(None, block, 0, [Armed(str(fired)), (1,), error], {2: error})
    run.close()
    fired.unlink(missing_ok=True)  # the failure was tried
    entries = list(Checkpoint(path).outcomes())
    assert [entry.pickled for entry in entries] == [True, True, False]
    assert [entry.value for entry in entries] == [None, None, None]
    Checkpoint(path).export(tmp_path / "out.jsonl")
    list(Checkpoint(path).failures())
    Checkpoint(path).status()
    Checkpoint(path).plan(double, [1])
    assert not fired.exists()
    values = [entry.value for entry in Checkpoint(path).outcomes(allow_pickle=True)]
    assert values[1] == (1,)
    assert fired.exists()


def test_errors_survive_pickling(tmp_path: Path) -> None:
    error = CheckpointError("is gone", "/x/run.db")
    error.results = [1]
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.path, copy.results) == ("is gone", "/x/run.db", [1])
