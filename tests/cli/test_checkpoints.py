"""`metainformant checkpoint`, in this process and in one of its own."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from metainformant.cli.app import cli
from metainformant.cli.visible import visible
from metainformant.core import parallel
from tests.support import wait_until

COMMAND = [sys.executable, "-m", "metainformant", "checkpoint"]
posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")
ODD = "tab\t \x1b[2J\nbad \udcff"


def same(item: Any) -> Any:
    return item


def picky(item: str) -> str:
    if "bad" in item:
        raise ValueError(f"no {item}")
    return item.upper()


def pair(item: int) -> tuple[int, int]:
    return item, item


def record(path: str, func: Callable[[Any], Any], items: list[Any], **options: Any) -> None:
    checkpoint = parallel.Checkpoint(path, on_change="accept", **options)
    parallel.thread_map(func, items, checkpoint=checkpoint, on_error="return")


def call(*arguments: str) -> Result:
    result = CliRunner().invoke(cli, ["checkpoint", *arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def refused(*arguments: str) -> tuple[int, str]:
    """The exit status and the one line of a command that can't be done."""
    result = call(*arguments)
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: ")
    return result.exit_code, line


def test_status() -> None:
    record("run.db", picky, ["a", "bad"], name="first", version="2")
    record("run.db", same, [1], name="odd\x1b[2J")
    result = call("status", "run.db")
    assert result.exit_code == 0
    size = os.stat("run.db").st_size
    assert result.stdout.splitlines() == [
        f"run.db: {size / 1000:.1f} kB",
        "  first, version 2: 1 ok, 1 failed",
        "    1 session",
        "  odd\\x1b[2J: 1 ok, 0 failed",
        "    1 session",
    ]
    result = call("status", "run.db", "--run", "first", "--run-version", "2")
    assert len(result.stdout.splitlines()) == 3
    record("run.db", same, ["a"], name="first", version="2")
    assert "    2 of these by earlier code of the function" in call("status", "run.db").stdout


def test_status_of_several_goes_on_after_a_bad_one() -> None:
    record("run.db", same, [1], name="run")
    Path("text").write_text("no checkpoint\n" * 1000)
    result = call("status", "text", "missing", "run.db")
    assert result.exit_code == 2
    assert "  run: 1 ok, 0 failed" in result.stdout
    first, second = result.stderr.splitlines()
    assert "text is not a checkpoint, and was not changed" in first
    assert second == "Error: there is no checkpoint 'missing'"


HOLD = """
import sys
from metainformant.core import parallel

def work(item):
    print(item, flush=True)
    if item == "last":
        sys.stdin.readline()
    return item

for each in parallel.imap(work, ["first", "last"], max_workers=1, chunk_size=1,
                          checkpoint=parallel.Checkpoint("run.db", name="run")):
    print("delivered", flush=True)
"""


@posix
def test_while_a_run_goes_on_and_after_it_was_killed() -> None:
    pipe = subprocess.PIPE
    run = subprocess.Popen([sys.executable, "-c", HOLD], stdin=pipe, stdout=pipe, text=True)
    assert run.stdout is not None
    told = {run.stdout.readline() for _ in range(3)}
    assert told == {"first\n", "last\n", "delivered\n"}
    head, *rest = call("status", "run.db").stdout.splitlines()
    assert f", being written by process {run.pid} on " in head
    assert rest == ["  run: 1 ok, 0 failed", "    1 session, 1 at work"]
    assert json.loads(call("export", "run.db").stdout)["value"] == "first"
    assert call("merge", "run.db", "-o", "copy.db").exit_code == 0
    run.kill()
    run.communicate()
    head, *rest = call("status", "run.db").stdout.splitlines()
    assert f", left behind by process {run.pid} on " in head
    assert rest == ["  run: 1 ok, 0 failed", "    1 session, 1 interrupted"]
    assert json.loads(call("export", "copy.db").stdout)["value"] == "first"


def test_failures_for_people() -> None:
    record("run.db", picky, ["a", "bad", ODD], name="run", version="2")
    result = call("failures", "run.db")
    odd = "tab\\t \\x1b[2J\\nbad \\udcff"
    assert result.stdout.splitlines() == [
        "bad: ValueError: no bad (1 attempt)",
        f"{odd}: ValueError: no {odd} (1 attempt)",
    ]
    assert result.stderr == "2 failed: run, version 2\n"
    lines = call("failures", "run.db", "--traceback").stdout.splitlines()
    assert lines[1] == "    Traceback (most recent call last):"
    assert "    ValueError: no bad" in lines
    assert not any("\x1b" in line for line in lines)


def test_no_failures() -> None:
    record("run.db", same, [1])
    result = call("failures", "run.db")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "no item has failed\n"


def test_a_long_message_is_cut() -> None:
    record("run.db", picky, ["bad" * 1000])
    (line,) = call("failures", "run.db").stdout.splitlines()
    assert len(line) < 700
    assert line.endswith("... (1 attempt)")


def test_failures_for_programs() -> None:
    record("run.db", picky, ["a", "bad", ODD], name="run")
    assert call("failures", "run.db", "-o", "out.jsonl").exit_code == 0
    rows = [json.loads(line) for line in Path("out.jsonl").read_text("utf-8").split("\n")[:-1]]
    assert [row["item"] for row in rows] == ["bad", ODD]
    assert rows[0]["traceback"].endswith("ValueError: no bad\n")
    text = call("failures", "run.db", "--output-format", "csv").stdout
    assert [row["error"] for row in csv.DictReader(io.StringIO(text))] == [
        "builtins.ValueError"
    ] * 2


def test_export_goes_to_stdout_or_a_file() -> None:
    record("run.db", same, [1, "é"], name="run")
    record("run.db", pair, [2], name="pairs")
    values = [json.loads(line)["value"] for line in call("export", "run.db").stdout.splitlines()]
    assert values == [1, "é", "<pickled>"]
    line = call("export", "run.db", "--allow-pickle", "--run", "pairs", "-o", "-").stdout
    assert json.loads(line)["value"] == [2, 2]
    result = call("export", "run.db", "-o", "out.csv")
    assert (result.exit_code, result.output) == (0, "")
    with open("out.csv", newline="", encoding="utf-8") as file:
        assert [row["value"] for row in csv.DictReader(file)] == ["1", "é", "<pickled>"]
    call("export", "run.db", "-o", "out.txt", "--output-format", "jsonl")
    assert len(Path("out.txt").read_text().splitlines()) == 3


def test_export_to_parquet() -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    record("run.db", same, [1, 2])
    assert call("export", "run.db", "-o", "out.parquet").exit_code == 0
    assert parquet.read_table("out.parquet").column("value").to_pylist() == [1, 2]


def test_without_pyarrow(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "pyarrow"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    record("run.db", same, [1])
    status, line = refused("export", "run.db", "-o", "out.parquet")
    assert status == 2
    assert "pip install pyarrow" in line


def test_values_whose_class_is_in_the_current_folder() -> None:
    """Also where the command is not started by `python -m`."""
    Path("shapes.py").write_text(
        "print('hello')\n"
        "class Shape:\n    def __repr__(self): return 'a shape'\n"
        "def shape(item): return Shape()\n"
    )
    code = (
        "import shapes; from metainformant.core.parallel import thread_map;"
        "thread_map(shapes.shape, [1], checkpoint='run.db')"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    result = call("export", "run.db", "--allow-pickle")
    assert json.loads(result.stdout)["value"] == "a shape"
    assert result.stderr == "hello\n"
    os.unlink("shapes.py")
    sys.modules.pop("shapes")
    status, line = refused("export", "run.db", "--allow-pickle")
    assert status == 1
    assert "can't be loaded: ModuleNotFoundError: No module named 'shapes'" in line


def test_merge() -> None:
    for number in range(3):
        record(f"{number}.db", same, [number, "x"], name="run")
    result = call("merge", "0.db", "1.db", "2.db", "-o", "all.db")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "6 outcomes of 3 files are in all.db\n"
    assert "  run: 4 ok, 0 failed" in call("status", "all.db").stdout


def other() -> None:
    with sqlite3.connect("bad.db") as connection:
        connection.execute("CREATE TABLE mine (x)")
    connection.close()


def newer() -> None:
    record("bad.db", same, [1])
    with sqlite3.connect("bad.db") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()


def damaged() -> None:
    record("bad.db", same, [1])
    with sqlite3.connect("bad.db") as connection:
        connection.execute("UPDATE piece SET results = '[7]'")
    connection.close()


def empty() -> None:
    Path("bad.db").touch()


def folder() -> None:
    Path("bad.db").mkdir()


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (other, "bad.db is a database of another program"),
        (newer, "bad.db was written by a later version"),
        (damaged, "bad.db is damaged: piece 1"),
        (empty, "bad.db is empty: no run has written it yet"),
        (folder, "bad.db is a folder"),
    ],
)
@pytest.mark.parametrize(
    "command", [["export"], ["export", "-o", "out.csv"], ["merge", "-o", "all.db"]]
)
def test_a_file_that_is_no_good(command: list[str], spoil: Callable[[], None], told: str) -> None:
    spoil()
    status, line = refused(*command, "bad.db")
    assert status == 1
    assert told in line
    assert sorted(os.listdir()) == ["bad.db", "functions.py"]


def test_what_is_whole_can_be_exported() -> None:
    damaged()
    record("bad.db", same, [2])
    result = call("export", "bad.db", "--skip-damaged")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["value"] == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("Warning: not all of bad.db was exported: ")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["export", "missing\n"], "there is no checkpoint 'missing\\n'"),
        (["failures", "missing"], "there is no checkpoint 'missing'"),
        (["merge", "missing", "-o", "all.db"], "there is no checkpoint 'missing'"),
        (["merge", "run.db", "run.db", "-o", "all.db"], "is given twice"),
        (["merge", "run.db", "-o", "run.db"], "is the file that is to be made"),
        (["merge", "run.db", "-o", "-"], "can't be written to standard output"),
        (["export", "run.db", "-o", "out.xml"], "must end in .jsonl, .csv or .parquet"),
        (["export", "run.db", "-o", "run.db", "--output-format", "csv"], "is the checkpoint"),
        (["export", "run.db", "--output-format", "parquet"], "name a file by -o"),
        (["export", "run.db", "-o", ""], "must end in"),
        (["export", ""], "there is no checkpoint ''"),
    ],
)
def test_wrong_usage(arguments: list[str], told: str) -> None:
    record("run.db", same, [1], name="run")
    status, line = refused(*arguments)
    assert status == 2
    assert told in line
    assert sorted(os.listdir()) == ["functions.py", "run.db"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["export", "run.db", "--run", "walk"], "has no run 'walk'; it has: run"),
        (["export", "run.db", "--run", "\udcff\n"], "has no run '\\udcff\\n'; it has: run"),
        (["failures", "run.db", "--run-version", "3"], "has no run with version '3'"),
        (["export", "run.db", "-o", "no/out.csv"], "no/out.csv can't be written: No such file"),
        (["merge", "run.db", "-o", "no/all.db"], "there is no folder"),
        (["merge", "run.db", "-o", "functions.py"], "exists already"),
    ],
)
def test_what_fails(arguments: list[str], told: str) -> None:
    record("run.db", same, [1], name="run")
    status, line = refused(*arguments)
    assert status == 1
    assert told in line
    assert sorted(os.listdir()) == ["functions.py", "run.db"]


def test_control_characters_are_shown() -> None:
    assert visible("a\tb\n\x1b \udcff é") == "a\\tb\\n\\x1b \\udcff é"
    assert visible("a\nb\r", keep="\n") == "a\nb\\r"


@posix
@pytest.mark.parametrize("command", ["export", "failures"])
def test_a_reader_that_goes_away_ends_it_quietly(command: str) -> None:
    record("run.db", picky, [f"bad {number}" for number in range(5000)])
    process = subprocess.Popen(
        [*COMMAND, command, "run.db"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(20) == 141
    process.stderr.close()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize("arguments", [[], ["-o", "/dev/full", "--output-format", "csv"]])
def test_a_full_disk(arguments: list[str]) -> None:
    record("run.db", same, [1])
    with open("/dev/full", "w") as full:
        result = subprocess.run(
            [*COMMAND, "export", "run.db", *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert result.returncode == 1
    assert result.stderr.endswith(" can't be written: No space left on device\n")
    assert len(result.stderr.splitlines()) == 1


@posix
def test_closed_streams() -> None:
    record("run.db", same, [1])
    for command in ("export", "status", "failures"):
        result = subprocess.run(
            [*COMMAND, command, "run.db"],
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: os.close(1),
        )
        assert (result.returncode, "Error" in result.stderr) == (0, False)


SLOW = """
import sys, time
from pathlib import Path
class Slow:
    def __reduce__(self): return load, ()
def load():
    Path("loading").touch()
    while True: time.sleep(0.01)  # one wait that has not quite begun would not see the signal
def make(item): return Slow()
"""


@posix
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_and_leaves_nothing(number: signal.Signals, status: int) -> None:
    Path("slow.py").write_text(SLOW)
    code = (
        "import slow; from metainformant.core.parallel import thread_map;"
        "thread_map(slow.make, [1], checkpoint='run.db')"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    process = subprocess.Popen(
        [*COMMAND, "export", "run.db", "--allow-pickle", "-o", "out.csv"],
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    wait_until(Path("loading").exists)
    process.send_signal(number)
    _, err = process.communicate(timeout=20)
    assert process.returncode == status
    assert err.strip() == ("interrupted" if number == signal.SIGINT else "")
    assert not [name for name in os.listdir() if "out.csv" in name]
