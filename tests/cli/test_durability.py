"""A run that keeps its outcomes in a checkpoint, and goes on from there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from metainformant.core import parallel

from .test_process import await_file

Run = Callable[..., Result]
Start = Callable[..., "subprocess.Popen[str]"]
posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")

COUNTING = """
import threading
from pathlib import Path
def f(value):
    with open("calls", "a") as file:
        file.write(f"{len(value)}\\n" if isinstance(value, list) else f"{value}\\n")
    return [len(each) for each in value] if isinstance(value, list) else len(value)
def mended(value):
    if not Path("mended").exists():
        if value == "bad": raise ValueError("it is bad")
        if value == "hang":
            Path("ready").touch()
            threading.Event().wait()
    return value
"""


def rows(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def calls() -> list[str]:
    path = Path("calls")
    lines = path.read_text().splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    return lines


@pytest.fixture(autouse=True)
def counting(workplace: Path) -> None:
    Path("counting.py").write_text(COUNTING)


@pytest.mark.parametrize("backend", ["thread", "process"])
def test_what_is_finished_is_written_again_and_not_called(run: Run, backend: str) -> None:
    arguments = ["counting.py:f", "in.txt", "--checkpoint", "c.db", "--backend", backend]
    Path("in.txt").write_text("a\nbb\n")
    run(*arguments)
    assert sorted(calls()) == ["a", "bb"]
    Path("in.txt").write_text("ccc\nbb\na\n")
    result = run(*arguments, "-o", "out.jsonl")
    assert [row["value"] for row in rows(Path("out.jsonl").read_text())] == [3, 2, 1]
    assert calls() == ["ccc"]
    assert "3 records (2 from the checkpoint): 3 ok" in result.stderr


def test_failures_are_tried_again_or_kept(run: Run) -> None:
    arguments = ["counting.py:mended", "--checkpoint", "c.db"]
    run(*arguments, input="a\nbad\n")
    Path("mended").touch()
    kept = run(*arguments, "--keep-failures", input="a\nbad\n")
    assert kept.exit_code == 1
    assert [row.get("error") for row in rows(kept.stdout)] == [None, "ValueError"]
    again = run(*arguments, input="a\nbad\n")
    assert again.exit_code == 0
    assert [row["value"] for row in rows(again.stdout)] == ["a", "bad"]


def test_changed_code_is_told_in_the_words_of_the_command(run: Run) -> None:
    arguments = ["counting.py:f", "--checkpoint", "c.db"]
    run(*arguments, input="a\n")
    Path("later").mkdir()
    Path("later/counting.py").write_text(COUNTING.replace("len(value)\n", "100\n"))
    arguments[0] = "later/counting.py:f"
    told = run(*arguments, input="a\n")
    assert "warning: 1 results in" in told.stderr
    assert "--on-change accept" in told.stderr
    assert rows(told.stdout)[0]["value"] == 1
    assert run(*arguments, "--on-change", "accept", input="a\n").stderr.count("warning") == 0
    assert rows(run(*arguments, "--on-change", "rerun", input="a\n").stdout)[0]["value"] == 100


def test_batches_have_outcomes_of_their_own(run: Run) -> None:
    arguments = ["counting.py:f", "--checkpoint", "c.db", "--batch-size", "2"]
    for data, expected in (("a\nbb\nccc\n", ["2", "1"]), ("a\nbb\nd\n", ["1"])):
        result = run(*arguments, input=data)
        assert sorted(calls()) == sorted(expected)
        assert [row["value"] for row in rows(result.stdout)] == [*map(len, data.split())]
    assert "3 records (2 from the checkpoint)" in result.stderr


def test_a_file_that_has_changed_is_another_record(run: Run) -> None:
    arguments = ["counting.py:f", "--format", "paths", "*.txt", "--checkpoint", "c.db"]
    for name in ("a.txt", "b.txt"):
        Path(name).write_text(name)
    run(*arguments)
    calls()
    Path("b.txt").write_text("longer than before")
    run(*arguments)
    assert calls() == ["b.txt"]


def test_a_lambda_has_the_name_that_it_was_called_by(run: Run) -> None:
    Path("short.py").write_text("f = lambda value: value * 2\n")
    for _ in range(2):
        result = run("short.py:f", "--checkpoint", "c.db", input="a\n")
    assert "(1 from the checkpoint)" in result.stderr
    (found,) = parallel.Checkpoint("c.db").status().runs
    assert found.name == "short.py:f"


def test_a_dry_run_says_what_would_be_run_and_runs_nothing(run: Run) -> None:
    arguments = ["functions:picky", "--checkpoint", "c.db", "-o", "out.jsonl", "--dry-run"]
    assert run(*arguments, input="a\n").stdout == "c.db: 1 records: 0 finished, 1 new\n"
    assert not Path("c.db").exists()
    run("functions:picky", "--checkpoint", "c.db", input="a\nbad\ngone\n")
    result = run(*arguments, input="a\nbad\nb\n")
    assert result.exit_code == 0
    assert result.stdout == (
        "c.db: 3 records: 1 finished, 1 new, 1 failed, to be tried again\n"
        "1 results are of records that are not in the input\n"
    )
    assert not Path("out.jsonl").exists()
    broken = run(*arguments, input=b"a\n\xff\n")
    assert broken.exit_code == 1
    assert broken.stderr.startswith("error: standard input: line 2:")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--dry-run"], "--dry-run needs --checkpoint FILE"),
        (["--keep-failures"], "--keep-failures needs --checkpoint FILE"),
        (["--checkpoint", "x.csv", "-o", "./x.csv"], "'./x.csv' is the checkpoint too"),
        (["--checkpoint", "functions.py"], "is not a checkpoint, and was not changed"),
        (["--checkpoint", "no/where"], "there is no folder"),
    ],
)
def test_what_does_not_fit_is_refused(run: Run, arguments: list[str], error: str) -> None:
    before = Path("functions.py").read_bytes()
    result = run("functions:same", *arguments, input="a\n")
    assert result.exit_code in (1, 2)
    assert error in result.stderr
    assert "goes on from there" not in result.stderr
    assert Path("functions.py").read_bytes() == before


HANGING = ["counting.py:mended", "in.txt", "--checkpoint", "c.db", "-o", "out.jsonl"]


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_keeps_what_is_finished_and_says_how_to_go_on(start: Start, number: int) -> None:
    Path("in.txt").write_text("a\nb\nhang\n")
    Path("out.jsonl").write_text("earlier")
    process = start(*HANGING, "-j", "1", "--chunk-size", "1")
    await_file("ready")
    process.send_signal(number)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 128 + number
    assert "what is finished is in 'c.db'; the same command goes on from there" in err
    assert Path("out.jsonl").read_text() == "earlier"
    assert not Path("out.jsonl.part").exists()
    (status,) = parallel.Checkpoint("c.db").status().runs
    assert status.ok == 2


@posix
def test_a_killed_run_goes_on(run: Run, start: Start) -> None:
    Path("in.txt").write_text("a\nb\nhang\n")
    process = start(*HANGING, "-j", "1", "--chunk-size", "1")
    await_file("ready")
    other = run("functions:same", "in.txt", "--checkpoint", "c.db", "-o", "out.jsonl")
    assert f"is being written by the run of process {process.pid}" in other.stderr
    process.kill()
    process.wait()
    assert Path("out.jsonl.part").exists()
    Path("mended").touch()
    result = run(*HANGING)
    assert [row["value"] for row in rows(Path("out.jsonl").read_text())] == ["a", "b", "hang"]
    assert "3 records (2 from the checkpoint): 3 ok" in result.stderr
    assert [path.name for path in Path().glob("out*")] == ["out.jsonl"]
