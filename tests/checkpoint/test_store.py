"""The file: what is not ours is left alone, and what is damaged or gone is told."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from metainformant.core.parallel.checkpoint import pieces, schema
from metainformant.core.parallel.checkpoint.errors import CheckpointError
from metainformant.core.parallel.checkpoint.opening import Mode
from metainformant.core.parallel.checkpoint.reading import Reader
from metainformant.core.parallel.checkpoint.store import Store

from .tasks import start_python

MODES: list[Mode] = ["local", "network"]


def row(*values: Any) -> pieces.Row:
    keys = [f"key {value!r}"[:40] for value in values]
    return pieces.encode(pieces.Record(keys, keys, list(values), {}), lambda at, error: error)


def write(path: Path, *rows: pieces.Row, mode: Mode = "local") -> None:
    store = Store(path, mode)
    _, session = store.begin_session("f", None, "code")
    store.write(session, rows)
    store.close(session)


def read(path: Path) -> list[Any]:
    with Reader(path) as reader:
        (run,) = reader.runs()
        return [reader.read(head.id).results for head in reader.heads(run.id)]


@pytest.mark.parametrize("mode", MODES)
def test_what_was_written_is_read_and_one_file_is_left(tmp_path: Path, mode: Mode) -> None:
    path = tmp_path / "run.db"
    write(path, row(1, 2), row(3), mode=mode)
    assert os.listdir(tmp_path) == ["run.db"]
    assert read(path) == ["[1,2]", "[3]"]
    write(path, row(4), mode=mode)
    assert read(path) == ["[1,2]", "[3]", "[4]"]
    assert os.listdir(tmp_path) == ["run.db"]


def test_a_file_may_change_from_one_mode_to_the_other(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    for number, mode in enumerate(MODES * 2):
        write(path, row(number), mode=mode)
    assert read(path) == ["[0]", "[1]", "[2]", "[3]"]


@pytest.mark.parametrize("mode", MODES)
def test_how_it_is_written(tmp_path: Path, mode: Mode) -> None:
    store = Store(tmp_path / "run.db", mode)
    pragmas = ("journal_mode", "locking_mode", "synchronous")
    connection = store._connection
    found = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in pragmas]
    wanted = {"local": ["wal", "normal", 2], "network": ["truncate", "exclusive", 2]}
    assert found == wanted[mode]
    store.close()


def test_runs_are_told_apart_by_name_and_version(tmp_path: Path) -> None:
    store = Store(tmp_path / "run.db")
    names = [("f", None), ("g", None), ("f", "2"), ("f", ""), ("f", None)]
    runs = [store.begin_session(*name, "code")[0] for name in names]
    store.close()
    assert runs == [1, 2, 3, 4, 1]


@pytest.mark.parametrize("mode", MODES)
def test_a_second_run_is_refused_and_changes_nothing(tmp_path: Path, mode: Mode) -> None:
    path = tmp_path / "run.db"
    store = Store(path, mode)
    _, session = store.begin_session("f", None, "code")
    link = tmp_path / "link.db"
    link.symlink_to(path)
    for name in (path, link):
        with pytest.raises(CheckpointError, match=f"process {os.getpid()} on "):
            Store(name, mode)
    store.write(session, [row(1)])
    store.close(session)
    assert read(path) == ["[1]"]


def test_reading_goes_on_while_a_run_writes(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    store = Store(path, "local")
    _, session = store.begin_session("f", None, "code")
    for number in range(3):
        store.write(session, [row(number)])
        assert len(read(path)) == number + 1
    # A reader that is in the middle of it does not hold the writer up.
    with Reader(path) as reader:
        heads = reader.heads(1)
        next(heads)
        store.write(session, [row(3)])
        assert len(list(heads)) == 2
    store.close(session)
    assert len(read(path)) == 4


def test_on_a_network_reading_waits_for_the_end_of_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("metainformant.core.parallel.checkpoint.opening._BUSY", 0.01)
    store = Store(tmp_path / "run.db", "network")
    store.begin_session("f", None, "code")
    with pytest.raises(CheckpointError, match=rf"being written by process {os.getpid()} on "):
        Reader(tmp_path / "run.db")
    store.close()
    Reader(tmp_path / "run.db").close()


def damage(path: Path, at: int, data: bytes) -> None:
    with open(path, "r+b") as file:
        file.seek(at)
        file.write(data)


def make_foreign(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE birds (name TEXT)")
    connection.close()


def make_newer(path: Path) -> None:
    write(path, row(1))
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    connection.close()


def make_text(path: Path) -> None:
    path.write_text("name,value\n" * 1000)


def make_truncated(path: Path) -> None:
    write(path, *(row("x" * 30_000 + str(number)) for number in range(20)))
    os.truncate(path, path.stat().st_size // 2)


def make_overwritten(path: Path) -> None:
    write(path, row(1))
    damage(path, 0, b"\xff" * path.stat().st_size)


NOT_OURS = {
    make_foreign: "is a database of another program, and was not changed",
    make_newer: r"was written by a later version of this library \(format 2; this one knows 1\)",
    make_text: "is not a checkpoint, and was not changed",
    make_overwritten: "is not a checkpoint",
}


@pytest.mark.parametrize("make", NOT_OURS)
@pytest.mark.parametrize("use", [Store, Reader])
def test_a_file_that_is_not_ours_is_refused_untouched(tmp_path: Path, make: Any, use: Any) -> None:
    path = tmp_path / "run.db"
    make(path)
    before = path.read_bytes(), path.stat().st_mtime_ns
    with pytest.raises(CheckpointError, match=NOT_OURS[make]):
        use(path)
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
    assert os.listdir(tmp_path) == ["run.db"]


def test_half_a_file_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    make_truncated(path)
    with pytest.raises(CheckpointError, match="is damaged"):
        read(path)
    with pytest.raises(CheckpointError, match="is damaged"):
        write(path, row("x" * 30_000))


@pytest.mark.parametrize("what", [b"a value to be damaged", b"key 'a value"])
def test_one_flipped_bit_is_seen(tmp_path: Path, what: bytes) -> None:
    path = tmp_path / "run.db"
    write(path, row("a value to be damaged"))
    at = path.read_bytes().rindex(what)
    damage(path, at, bytes([path.read_bytes()[at] ^ 4]))
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)  # SQLite can't see it
    connection.close()
    with pytest.raises(CheckpointError, match="piece 1 is not what was written"):
        read(path)


def test_an_empty_file_becomes_a_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    path.touch()
    with pytest.raises(CheckpointError, match="no run has written it yet"):
        Reader(path)
    write(path, row(1))
    assert read(path) == ["[1]"]


@pytest.mark.parametrize("use", [Store, Reader])
def test_a_folder_is_no_checkpoint(tmp_path: Path, use: Any) -> None:
    with pytest.raises(CheckpointError, match="is a folder; a checkpoint is a file"):
        use(tmp_path)
    assert os.listdir(tmp_path) == []


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"there is no folder .*missing"):
        Store(tmp_path / "missing" / "run.db")


def test_a_missing_file_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there is no checkpoint"):
        Reader(tmp_path / "run.db")
    assert os.listdir(tmp_path) == []


def test_a_hard_link_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    write(path, row(1))
    os.link(path, tmp_path / "other.db")
    with pytest.raises(CheckpointError, match="has another name"):
        Store(path)
    assert read(path) == ["[1]"]


def delete(path: Path) -> None:
    path.unlink()


def replace(path: Path) -> None:
    shutil.copy(path, f"{path}.copy")
    os.replace(f"{path}.copy", path)


def delete_log(path: Path) -> None:
    Path(f"{path}-wal").unlink()


def delete_lock(path: Path) -> None:
    Path(f"{path}.lock").unlink()


@pytest.mark.parametrize("happens", [delete, replace, delete_log, delete_lock])
def test_a_file_that_goes_under_the_run_is_noticed_at_the_next_commit(
    tmp_path: Path, happens: Any
) -> None:
    path = tmp_path / "run.db"
    store = Store(path, "local")
    _, session = store.begin_session("f", None, "code")
    store.write(session, [row(1)])
    happens(path)
    with pytest.raises(CheckpointError, match="was deleted or replaced"):
        store.write(session, [row(2)])
    store.close(session)


@pytest.mark.parametrize("happens", [delete, replace, delete_lock])
def test_so_it_is_on_a_network(tmp_path: Path, happens: Any) -> None:
    path = tmp_path / "run.db"
    store = Store(path, "network")
    _, session = store.begin_session("f", None, "code")
    happens(path)
    with pytest.raises(CheckpointError, match="was deleted or replaced"):
        store.write(session, [row(2)])
    store.close(session)


def test_a_log_survives_those_who_copy_the_file_while_it_is_written(tmp_path: Path) -> None:
    # Opening and closing the file drops SQLite's locks in this process. A reader elsewhere that
    # closes then takes itself for the last one, and must not remove the log.
    path = tmp_path / "run.db"
    store = Store(path, "local")
    _, session = store.begin_session("f", None, "code")
    store.write(session, [row(1)])
    shutil.copy(path, tmp_path / "copy")
    code = """
    import sys
    from metainformant.core.parallel.checkpoint.reading import Reader
    with Reader(sys.argv[1]) as reader:
        print(len(list(reader.heads(1))))
    """
    reader = start_python(code, str(path))
    assert reader.communicate()[0] == "1\n"
    store.write(session, [row(2)])
    store.close(session)
    assert read(path) == ["[1]", "[2]"]


@pytest.fixture
def folder_for_all() -> Iterator[Path]:
    """Return a folder that other users can read, unlike those of pytest."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        yield Path(name)


@pytest.mark.skipif(os.name == "nt", reason="permissions are others there")
def test_a_read_only_file_is_told(folder_for_all: Path) -> None:
    # As another user where this one may write everything.
    path = folder_for_all / "run.db"
    write(path, row(1))
    os.chmod(path, 0o444)
    code = """
    import os, sys
    from metainformant.core.parallel.checkpoint.errors import CheckpointError
    from metainformant.core.parallel.checkpoint.reading import Reader
    from metainformant.core.parallel.checkpoint.store import Store
    if os.getuid() == 0:
        os.setgid(65534)
        os.setuid(65534)
    for use in (Store, Reader):
        try:
            use(sys.argv[1])
            print("ok")
        except CheckpointError as error:
            print(error)
    """
    done = start_python(code, str(path))
    first, second = done.communicate()[0].splitlines()  # the folder can't be written either
    assert "can't be written: Permission denied" in first
    assert second == "ok"
    os.chmod(folder_for_all, 0o777)
    done = start_python(code, str(path))
    first, second = done.communicate()[0].splitlines()
    assert "can't be written: it, or its folder, is read-only" in first
    assert second == "ok"


@pytest.fixture
def small_disk(tmp_path: Path) -> Any:
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(disk)]
    if os.name == "nt" or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no small file system can be mounted here")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize("mode", MODES)
def test_a_full_disk_is_told_and_what_was_committed_stays(small_disk: Path, mode: Mode) -> None:
    path = small_disk / "run.db"
    store = Store(path, mode)
    _, session = store.begin_session("f", None, "code")
    store.write(session, [row(1)])
    with pytest.raises(CheckpointError, match=r"the disk is full\. Make room and run again"):
        store.write(session, [row("x" * 2_000_000)])
    store.write(session, [row(2)])
    store.close(session)
    assert read(path) == ["[1]", "[2]"]


def test_another_program_that_keeps_it_locked_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("metainformant.core.parallel.checkpoint.opening._BUSY", 0.01)
    path = tmp_path / "run.db"
    write(path, row(1))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(CheckpointError, match="is locked by another program"):
        Store(path)
    other.execute("COMMIT")
    other.close()
    write(path, row(2))
    assert read(path) == ["[1]", "[2]"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forked children")
@pytest.mark.parametrize("leave", ["sys.exit()", "os._exit(0)", "store.close(session)"])
def test_a_forked_child_does_the_file_no_harm(tmp_path: Path, leave: str) -> None:
    code = f"""
    import gc, os, sys
    from metainformant.core.parallel.checkpoint.store import Store
    from metainformant.core.parallel.checkpoint.writer import Writer
    from metainformant.core.parallel.checkpoint.pieces import Record
    store = Store(sys.argv[1], "local")
    _, session = store.begin_session("f", None, "code")
    written = []
    writer = Writer(store, session, written.extend)
    writer.start()
    put = lambda n: writer.put(Record([n], [n], [n], {{}}), n)
    put(1)
    while not written:
        pass
    child = os.fork()
    if child == 0:
        try:
            {leave}
        finally:
            del store, writer
            gc.collect()
        sys.exit()
    assert os.waitpid(child, 0)[1] == 0
    put(2)
    writer.close()
    store.close(session)
    """
    path = tmp_path / "run.db"
    done = start_python(code, str(path))
    done.communicate()
    assert done.returncode == 0
    assert read(path) == ["[1]", "[2]"]
    assert os.listdir(tmp_path) == ["run.db"]
