"""One writer at a time, and a dead one is no hindrance."""

from __future__ import annotations

import errno
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from metainformant.core.parallel.checkpoint import lock as locks
from metainformant.core.parallel.checkpoint.errors import CheckpointError
from metainformant.core.parallel.checkpoint.lock import WriterLock, read_owner

from .tasks import start_python

HOLD = """
import sys
from metainformant.core.parallel.checkpoint.lock import WriterLock
lock = WriterLock(sys.argv[1])
lock.append("a note")
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_writer_is_refused_by_name(tmp_path: Path) -> None:
    path = str(tmp_path / "run.db")
    first = WriterLock(path)
    with pytest.raises(CheckpointError) as caught:
        WriterLock(path)
    text = str(caught.value)
    assert f"process {os.getpid()} on {first.owner.host}, started 20" in text
    first.release()
    WriterLock(path).release()
    assert os.listdir(tmp_path) == []


def test_a_writer_in_another_process_is_refused_until_it_is_killed(tmp_path: Path) -> None:
    path = str(tmp_path / "run.db")
    holder = start_python(HOLD, path)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(CheckpointError, match=f"process {holder.pid} on "):
        WriterLock(path)
    owner, running = read_owner(path)
    assert owner is not None
    assert (owner.pid, running) == (holder.pid, True)
    os.kill(holder.pid, signal.SIGKILL)
    holder.communicate()
    owner, running = read_owner(path)
    assert owner is not None
    assert (owner.pid, running) == (holder.pid, False)
    taken = WriterLock(path)
    assert taken.previous == owner
    assert taken.left_behind == ["a note"]
    taken.release()
    assert read_owner(path) == (None, False)


def test_a_second_writer_waits_for_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tmp_path / "run.db")
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    holder = start_python(HOLD, path)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(CheckpointError):
        WriterLock(path)
    holder.communicate("")
    mine = WriterLock(path)
    with pytest.raises(CheckpointError):
        WriterLock(path)
    mine.release()
    assert waits == []


def test_a_writer_of_this_process_that_is_closing_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "run.db")
    first = WriterLock(path)
    first.leave()
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        first.release()

    monkeypatch.setattr(time, "sleep", sleep)
    second = WriterLock(path)
    assert len(waits) == 1
    first.leave()  # too late to say so
    with pytest.raises(CheckpointError):
        WriterLock(path)
    assert len(waits) == 1
    second.release()


def test_one_that_was_released_while_another_was_refused_is_no_hindrance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "run.db")
    first = WriterLock(path)
    first.leave()
    lock_soon = locks._lock_soon

    def lock_a_moment_too_soon(descriptor: int) -> None:
        try:
            lock_soon(descriptor)
        finally:
            first.release()

    monkeypatch.setattr(locks, "_lock_soon", lock_a_moment_too_soon)
    WriterLock(path).release()


def test_leaving_during_the_release_lets_nobody_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever closes a stream and the thread that ends it may do so at the same time."""
    path = str(tmp_path / "run.db")

    class Released(WriterLock):
        """A lock that is released after `leave` has seen that it is held."""

        def __getattribute__(self, name: str) -> Any:
            value = super().__getattribute__(name)
            if name == "_file" and sys._getframe(1).f_code is WriterLock.leave.__code__:
                self.release()
            return value

    first = Released(path)
    first.leave()
    first.release()
    held = WriterLock(path)
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("it waits"))
    with pytest.raises(CheckpointError):
        WriterLock(path)
    held.release()


@pytest.mark.skipif(not locks._CAN_TELL_OWNERS, reason="there are no shared locks")
def test_who_only_looks_is_no_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tmp_path / "run.db")
    (tmp_path / "run.db.lock").write_text('{"host": "h", "pid": 1, "started": 0}\n')
    looks = os.open(f"{path}.lock", os.O_RDWR)
    assert not locks._has_owner(looks)
    owner, running = read_owner(path)
    assert owner is not None
    assert not running
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        os.close(looks)

    monkeypatch.setattr(time, "sleep", sleep)
    lock = WriterLock(path)  # waits for it
    assert len(waits) == 1
    lock.release()


def test_notes_are_kept_until_they_are_rewritten(tmp_path: Path) -> None:
    path = str(tmp_path / "run.db")
    (tmp_path / "run.db.lock").write_text('{"host": "h", "pid": 1, "started": 0}\none\ntwo\n')
    lock = WriterLock(path)
    assert lock.left_behind == ["one", "two"]
    assert (tmp_path / "run.db.lock").read_text().splitlines()[1:] == ["one", "two"]
    lock.rewrite(["three"])
    lock.append("four")
    assert (tmp_path / "run.db.lock").read_text().splitlines()[1:] == ["three", "four"]
    lock.rewrite([])
    assert len((tmp_path / "run.db.lock").read_text().splitlines()) == 1
    lock.release()
    lock.release()


@pytest.mark.parametrize("text", ["", "no json\n", "{}\n", "[1]\n", '{"host": 1}\n', "\x00\xff"])
def test_whatever_is_in_the_file_it_can_be_taken_over(tmp_path: Path, text: str) -> None:
    path = str(tmp_path / "run.db")
    (tmp_path / "run.db.lock").write_text(text)
    lock = WriterLock(path)
    assert lock.previous is None
    assert read_owner(path) == (lock.owner, True)
    lock.release()


def test_a_lock_file_that_was_removed_is_noticed(tmp_path: Path) -> None:
    path = str(tmp_path / "run.db")
    lock = WriterLock(path)
    assert lock.is_mine
    os.unlink(lock.path)
    assert not lock.is_mine
    other = WriterLock(path)
    assert not lock.is_mine
    lock.release()  # must leave the other's file
    assert other.is_mine
    other.release()
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forked children")
def test_a_forked_child_does_not_hold_the_lock(tmp_path: Path) -> None:
    path = str(tmp_path / "run.db")
    code = """
import os, sys, time
from metainformant.core.parallel.checkpoint.lock import WriterLock
lock = WriterLock(sys.argv[1])
child = os.fork()
if child == 0:
    sys.stdout.write(f"child {os.getpid()}\\n")
    sys.stdout.flush()
    lock.release()
    sys.stdin.read()
    os._exit(0)
os.waitpid(child, 0)
"""
    parent = start_python(code, path)
    assert parent.stdout is not None
    assert parent.stdout.readline().startswith("child ")
    with pytest.raises(CheckpointError, match=f"process {parent.pid} on "):
        WriterLock(path)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    taken = WriterLock(path)  # though the child lives
    assert taken.previous is not None
    taken.release()
    parent.communicate()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(locks, "_try_lock", fail)
    monkeypatch.setattr(locks, "_try_to_look", fail)
    with pytest.raises(CheckpointError, match="file system has no locks"):
        WriterLock(str(tmp_path / "run.db"))


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"run.db.lock can't be written: No such file"):
        WriterLock(str(tmp_path / "missing" / "run.db"))


def test_a_process_that_exits_without_closing_leaves_nothing(tmp_path: Path) -> None:
    code = """
    import sys
    from metainformant.core.parallel.checkpoint.lock import WriterLock
    lock = WriterLock(sys.argv[1])
    lock.append("a note")
    """
    done = start_python(code, str(tmp_path / "run.db"))
    done.communicate()
    assert done.returncode == 0
    assert os.listdir(tmp_path) == []
