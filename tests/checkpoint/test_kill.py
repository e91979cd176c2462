"""A writer that is killed at any moment: what it has acknowledged is in the file."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest

from metainformant.core.parallel.checkpoint.config import Checkpoint
from metainformant.core.parallel.checkpoint.opening import Mode
from metainformant.core.parallel.checkpoint.run import DurableRun
from metainformant.core.parallel.checkpoint.store import Store

from .tasks import double, start_python

# Goes on where the run before was killed, and says of each item when it may be delivered.
WRITE = """
import sys
from metainformant.core.parallel.checkpoint.config import Checkpoint
from metainformant.core.parallel.checkpoint.run import DurableRun
from tests.checkpoint.tasks import double

def committed(tokens):
    print("\\n".join(f"{start} {stop}" for start, stop in tokens), flush=True)

run = DurableRun(Checkpoint(sys.argv[1], file_system=sys.argv[2]), double)
block = run.admit(range(60_000))
print("ready", flush=True)
run.start_writer(committed)
for span in block.spans:
    if span.piece is None:
        for start in range(span.start, span.stop, 7):
            stop = min(start + 7, span.stop)
            run.begun(block, start, stop)
            values = [2 * i for i in range(start, stop)]
            run.record((start, stop), block, start, values, {})
"""
ROUNDS = 12


@pytest.mark.skipif(os.name == "nt", reason="there are no signals")
@pytest.mark.parametrize("mode", ["local", "network"])
def test_what_was_acknowledged_is_there_after_a_kill(tmp_path: Path, mode: Mode) -> None:
    path = tmp_path / "run.db"
    moments = random.Random(7)
    acknowledged: set[int] = set()
    for number in range(ROUNDS):
        with start_python(WRITE, str(path), mode) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "ready\n"
            # Every other writer gets as far as a commit, however busy the machine is.
            told = writer.stdout.readline() if number % 2 else ""
            time.sleep(moments.uniform(0, 0.1))  # the moment is what is tried, nothing waits for it
            os.kill(writer.pid, signal.SIGKILL)
            # Not `communicate`, which does not know what readline() has read ahead.
            told += writer.stdout.read()
        for line in filter(None, told[: told.rfind("\n") + 1].splitlines()):
            start, stop = map(int, line.split())
            acknowledged.update(range(start, stop))
        # Whoever reads sees it; nothing of what was not finished is taken for it.
        if acknowledged:
            (status,) = Checkpoint(path).status().runs
            assert status.ok >= len(acknowledged)
            assert (status.failed, status.killed) == (0, 0)
        # Taken over at once, and everything is there.
        run = DurableRun(Checkpoint(path, file_system=mode), double)
        assert all(item in run.finished for item in acknowledged)
        block = run.admit(range(60_000))
        for span in block.spans:
            if span.piece is not None:
                values = run.replay(block, span).values
                assert values == [2 * item for item in range(span.start, span.stop)]
        run.close()
    assert acknowledged


@pytest.mark.skipif(os.name == "nt", reason="there are no signals")
def test_a_dead_writer_is_no_hindrance(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    code = """
    import sys
    from metainformant.core.parallel.checkpoint.store import Store
    store = Store(sys.argv[1], "network")
    store.begin_session("f", None, "code")
    print("open", flush=True)
    sys.stdin.read()
    """
    writer = start_python(code, str(path))
    assert writer.stdout is not None
    assert writer.stdout.readline() == "open\n"
    with pytest.raises(Exception, match=f"process {writer.pid} on "):
        Store(path, "network")
    os.kill(writer.pid, signal.SIGKILL)
    writer.communicate()
    store = Store(path, "network")
    assert store.lock.previous is not None
    assert store.lock.previous.pid == writer.pid
    store.close()


@pytest.mark.skipif(os.name == "nt", reason="there are no signals")
def test_a_commit_that_a_kill_cut_off_is_taken_back_for_readers(tmp_path: Path) -> None:
    # A transaction that is larger than the cache has written a part of the file, and a journal of
    # what was there before, when the process is killed.
    path = tmp_path / "run.db"
    code = """
    import os, signal, sys
    from metainformant.core.parallel.checkpoint.pieces import Record, encode
    from metainformant.core.parallel.checkpoint.store import Store
    store = Store(sys.argv[1], "network")
    _, session = store.begin_session("f", None, "code")
    def row(text):
        return encode(Record([text], [text], [text * 100_000], {}), None)
    def rows():
        for number in range(20):
            yield row(f"uncommitted {number}")
        os.kill(os.getpid(), signal.SIGKILL)
    store.write(session, [row("committed")])
    store.write(session, rows())
    """
    start_python(code, str(path)).communicate()
    assert Path(f"{path}-journal").stat().st_size > 0
    assert [entry.item for entry in Checkpoint(path).outcomes()] == ["committed"]
    (status,) = Checkpoint(path).status().runs
    assert (status.ok, status.interrupted) == (1, 1)
