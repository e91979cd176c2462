"""One checkpoint out of several."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metainformant.core.parallel.checkpoint import merging, pieces
from metainformant.core.parallel.checkpoint.config import Checkpoint
from metainformant.core.parallel.checkpoint.errors import CheckpointError
from metainformant.core.parallel.checkpoint.lock import WriterLock
from metainformant.core.parallel.checkpoint.run import DurableRun
from metainformant.core.parallel.checkpoint.store import Store

from .tasks import Recorder, double, fail_at_odd, run_map, start_python
from .test_run import killed_run


def part(path: Path, func: Callable[[Any], Any], items: list[Any], **options: Any) -> Path:
    run_map(Checkpoint(path, on_change="accept", **options), func, items)
    return path


def values(path: Path) -> dict[str, Any]:
    return {
        entry.item: entry.failure.message if entry.failure else entry.value
        for entry in Checkpoint(path).outcomes()
    }


def test_an_array_job_becomes_one_run(tmp_path: Path) -> None:
    parts = [
        part(tmp_path / f"{number}.db", double, list(range(10 * number, 10 * number + 10)))
        for number in range(5)
    ]
    merged = Checkpoint(tmp_path / "all.db")
    assert merged.merge(*parts) == 50
    assert sorted(os.listdir(tmp_path)) == [*(f"{number}.db" for number in range(5)), "all.db"]
    (run,) = merged.status().runs
    assert (run.ok, run.failed, run.sessions, run.interrupted) == (50, 0, 5, 0)
    recorder = Recorder(double)
    assert run_map(merged, recorder, range(60)) == [2 * item for item in range(60)]
    assert recorder.items == list(range(50, 60))


def test_runs_stay_apart_by_name_and_version(tmp_path: Path) -> None:
    first = part(tmp_path / "1.db", double, [1])
    part(first, double, [2], version="")
    second = part(tmp_path / "2.db", fail_at_odd, [3])
    part(second, double, [4], version="")
    part(second, double, [5], version="2")
    merged = Checkpoint(tmp_path / "all.db")
    assert merged.merge(first, str(second)) == 5
    found = {
        (run.name.split(".")[-1], run.version): run.ok + run.failed for run in merged.status().runs
    }
    assert found == {
        ("double", None): 1,
        ("double", ""): 2,
        ("fail_at_odd", None): 1,
        ("double", "2"): 1,
    }


def write(path: Path, outcomes: dict[str, tuple[int, float]]) -> None:
    """Record an outcome per item in a piece of its own, at its time."""
    store = Store(path)
    _, session = store.begin_session("run", None, "code")
    for item, (value, time) in outcomes.items():
        row = pieces.encode(pieces.Record([item], [item], [value], {}), lambda *_: ValueError())
        row = row._replace(recorded=time)
        checksum = pieces._head_sum(row) + pieces._rest_sum(row)
        store.write(session, [row._replace(checksum=checksum)])
    store.close(session)


def test_what_was_recorded_last_counts(tmp_path: Path) -> None:
    first, second = tmp_path / "1.db", tmp_path / "2.db"
    write(first, {"a": (1, 10.0), "b": (1, 30.0), "c": (1, 31.0)})
    write(second, {"a": (2, 20.0), "b": (2, 21.0), "c": (2, 40.0)})
    for order in ([first, second], [second, first]):
        merged = tmp_path / "all.db"
        Checkpoint(merged).merge(*order)
        assert values(merged) == {"a": 2, "b": 1, "c": 2}
        merged.unlink()


def test_a_clock_that_is_set_back_changes_no_order(tmp_path: Path) -> None:
    first, second = tmp_path / "1.db", tmp_path / "2.db"
    write(first, {"a": (1, 50.0)})
    write(first, {"a": (2, 10.0)})
    write(second, {"a": (3, 20.0), "b": (3, 60.0)})
    Checkpoint(tmp_path / "all.db").merge(first, second)
    assert values(tmp_path / "all.db") == {"a": 2, "b": 3}


@settings(deadline=None, max_examples=20)
@given(
    st.lists(
        st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9)), max_size=4),
        min_size=1,
        max_size=4,
    )
)
def test_any_order_of_recording(histories: list[list[tuple[str, int]]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        recorded: list[tuple[int, int, int, str]] = []
        for source, history in enumerate(histories):
            write(folder / f"{source}.db", {})
            latest = 0
            for place, (item, time) in enumerate(history):
                write(folder / f"{source}.db", {item: (100 * source + place, float(time))})
                latest = max(latest, time)
                recorded.append((latest, source, place, item))
        Checkpoint(folder / "all.db").merge(*sorted(folder.glob("?.db")))
        expected = {item: 100 * source + place for _, source, place, item in sorted(recorded)}
        assert values(folder / "all.db") == expected


def test_kills_are_the_larger_count(tmp_path: Path) -> None:
    first, second = tmp_path / "1.db", tmp_path / "2.db"
    for path, kills in ((first, 5), (second, 2)):
        for _ in range(kills):
            killed_run(path, double, [7])
        part(path, double, [1])  # who resumes counts the last one
    for order in ([first, second], [second, first]):
        merged = Checkpoint(tmp_path / "all.db")
        merged.merge(*order)
        assert merged.plan(double, [1, 7])[:4] == (1, 0, 1, 0)
        os.unlink(merged.path)


def test_a_source_that_is_being_written(tmp_path: Path) -> None:
    path = part(tmp_path / "1.db", double, [1, 2])
    run = DurableRun(Checkpoint(path), double)
    block = run.admit([1, 2, 3])
    written = threading.Event()
    run.start_writer(lambda tokens: written.set())
    run.record(None, block, 2, [6], {})
    assert written.wait(30)
    merged = Checkpoint(tmp_path / "all.db")
    assert merged.merge(path) == 3
    (found,) = merged.status().runs
    assert (found.ok, found.sessions, found.interrupted) == (3, 2, 1)
    run.close()


def test_what_is_recorded_during_the_merge_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = part(tmp_path / "1.db", double, [1])
    second = part(tmp_path / "2.db", double, [2])
    copy = merging._Merge._copy

    def late(self: Any, source: int, reader: Any) -> int:
        if source == 0:
            part(first, fail_at_odd, [3])
        return copy(self, source, reader)

    monkeypatch.setattr(merging._Merge, "_copy", late)
    assert Checkpoint(tmp_path / "all.db").merge(first, second) == 2
    assert values(tmp_path / "all.db") == {"1": 2, "2": 4}


def test_what_cannot_be_merged_is_refused_at_once(tmp_path: Path) -> None:
    source = part(tmp_path / "1.db", double, [1])
    link = tmp_path / "link.db"
    link.symlink_to(source)
    merged = Checkpoint(tmp_path / "all.db")
    with pytest.raises(ValueError, match="must name at least one checkpoint"):
        merged.merge()
    with pytest.raises(TypeError, match="source 3 must be the path of a checkpoint"):
        merged.merge(3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"1.db' is given twice"):
        merged.merge(source, link)
    with pytest.raises(ValueError, match=r"1.db' is the file that is to be made"):
        Checkpoint(source).merge(link)
    (tmp_path / "there.db").touch()
    with pytest.raises(CheckpointError, match="exists already; a merged checkpoint is a new file"):
        Checkpoint(tmp_path / "there.db").merge(source)
    with pytest.raises(CheckpointError, match="there is no folder"):
        Checkpoint(tmp_path / "no" / "all.db").merge(source)
    assert sorted(os.listdir(tmp_path)) == ["1.db", "link.db", "there.db"]
    assert (tmp_path / "there.db").stat().st_size == 0


def not_there(path: Path) -> None:
    path.unlink()


def empty(path: Path) -> None:
    path.write_bytes(b"")


def text(path: Path) -> None:
    path.write_text("not a database at all" * 1000)


def other(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE mine (x)")
    connection.close()


def newer(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()


def damage_result(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE piece SET results = '[3]' WHERE id = 1")
    connection.close()


def orphan(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM session")
    connection.close()


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (not_there, "there is no checkpoint"),
        (empty, "is empty: no run has written it yet"),
        (text, "is not a checkpoint"),
        (other, "is a database of another program"),
        (newer, "was written by a later version"),
        (damage_result, "is damaged: piece 1 is not what was written"),
        (orphan, "is damaged: piece 1 is not what was written"),
        (cut, "is damaged"),
    ],
)
def test_a_source_that_is_no_good_leaves_nothing(
    tmp_path: Path, spoil: Callable[[Path], None], told: str
) -> None:
    good = part(tmp_path / "1.db", double, [1])
    bad = part(tmp_path / "2.db", double, list(range(1000)))
    spoil(bad)
    with pytest.raises(CheckpointError, match=told) as caught:
        Checkpoint(tmp_path / "all.db").merge(good, bad)
    assert caught.value.path == str(bad)
    assert set(os.listdir(tmp_path)) <= {"1.db", "2.db"}


def test_a_target_that_a_run_is_about_to_make(tmp_path: Path) -> None:
    source = part(tmp_path / "1.db", double, [1])
    lock = WriterLock(str(tmp_path / "all.db"))
    with pytest.raises(CheckpointError, match="is being written by the run of process"):
        Checkpoint(tmp_path / "all.db").merge(source)
    lock.release()
    assert os.listdir(tmp_path) == ["1.db"]


MERGE = """
import sys
from metainformant.core.parallel.checkpoint import merging, reading
from metainformant.core.parallel.checkpoint.config import Checkpoint

read, count = reading.Reader.read, 0

def slow(self, number):
    global count
    count += 1
    if count == 300:
        print("ready", flush=True)
        sys.stdin.readline()
    return read(self, number)

merging.Reader.read = slow
Checkpoint(sys.argv[1]).merge(*sys.argv[2:])
"""


@pytest.mark.skipif(os.name == "nt", reason="there are no signals")
def test_killed_in_the_middle(tmp_path: Path) -> None:
    sources = [
        part(tmp_path / f"{number}.db", double, [f"{number}/{each}" * 500 for each in range(1000)])
        for number in range(2)
    ]
    target = tmp_path / "all.db"
    process = start_python(MERGE, str(target), *map(str, sources))
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert not target.exists()
    for name in set(os.listdir(tmp_path)) - {"0.db", "1.db", "all.db.lock"}:
        shutil.copy(tmp_path / name, tmp_path / "copy.db")
        with pytest.raises(CheckpointError):
            Checkpoint(tmp_path / "copy.db").status()
        (tmp_path / "copy.db").unlink()
    assert Checkpoint(target).merge(*sources) == 2000
    assert sorted(os.listdir(tmp_path)) == ["0.db", "1.db", "all.db"]
    assert len(values(target)) == 2000


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = part(tmp_path / "1.db", double, [1])

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CheckpointError, match=r"all.db can't be written: No space left"):
        Checkpoint(tmp_path / "all.db").merge(source)
    assert os.listdir(tmp_path) == ["1.db"]


def test_many_sources(tmp_path: Path) -> None:
    """Descriptors do not limit how many there may be."""
    resource = pytest.importorskip("resource")
    first = part(tmp_path / "0.db", double, [1])
    sources = [tmp_path / f"{number}.db" for number in range(100)]
    for source in sources[1:]:
        shutil.copy(first, source)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 50
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 20, limits[1]))
    try:
        assert Checkpoint(tmp_path / "all.db").merge(*sources) == 100
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert values(tmp_path / "all.db") == {"1": 2}
