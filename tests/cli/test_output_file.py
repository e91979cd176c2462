"""An output that never destroys anything."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import Result

from metainformant.cli.output_file import OutputFile

from .test_process import await_file

Run = Callable[..., Result]
Start = Callable[..., "subprocess.Popen[str]"]
COMMAND = [sys.executable, "-m", "metainformant", "map"]
posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX")


def values(name: str) -> list[Any]:
    return [json.loads(line).get("value") for line in Path(name).read_text().splitlines()]


def files() -> list[str]:
    return sorted(path.name for path in Path().iterdir() if path.name.startswith("out"))


def test_a_whole_output_replaces_an_earlier_one(run: Run) -> None:
    Path("out.jsonl").write_text("earlier\n")
    assert run("functions:picky", "-o", "out.jsonl", input="a\nbad\n").exit_code == 1
    assert values("out.jsonl") == ["A", None]
    assert files() == ["out.jsonl"]


@pytest.mark.parametrize(
    ("arguments", "data", "rows"),
    [
        (["functions:same"], b"\xff\n", None),
        (["functions:same"], b"a\n\xff\n", ["a"]),
        (["functions:leave"], b"a\n", None),
        (["functions:hang", "--deadline", "0.3", "-j", "1"], b"a\nhang\n", ["a", None]),
        (["functions:number", "--max-failures", "0", "-j", "1"], b"x\n1\n", [None]),
        (
            ["functions:number", "--on-error", "stop", "-j", "1", "--chunk-size", "1"],
            b"1\nx\n2\n",
            [1, None],
        ),
    ],
)
def test_an_earlier_output_outlives_a_run_that_stops(
    run: Run, arguments: list[str], data: bytes, rows: list[Any] | None
) -> None:
    Path("out.jsonl").write_text("earlier\n")
    result = run(*arguments, "-o", "out.jsonl", input=data)
    assert result.exit_code != 0
    assert Path("out.jsonl").read_text() == "earlier\n"
    if rows is None:
        assert "'out.jsonl' is as it was" in result.stderr
        assert files() == ["out.jsonl"]
    else:
        assert "rows so far are in 'out.jsonl.part'; 'out.jsonl' is as it was" in result.stderr
        assert values("out.jsonl.part")[: len(rows)] == rows


@posix
def test_an_interrupted_run_says_where_its_rows_are(start: Start) -> None:
    Path("out.jsonl").write_text("earlier\n")
    Path("in.txt").write_text("a\nlate\n" + "b\n" * 5)
    arguments = ("in.txt", "-j", "1", "--chunk-size", "7", "-o", "out.jsonl")
    process = start("functions:late", *arguments)
    await_file("ready")
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    assert "interrupted" in process.stderr.readline()
    Path("go").touch()
    _, err = process.communicate(timeout=20)
    assert "rows so far are in 'out.jsonl.part'; 'out.jsonl' is as it was" in err
    assert values("out.jsonl.part") == ["a", "late"]
    assert Path("out.jsonl").read_text() == "earlier\n"


@posix
def test_a_killed_run_leaves_an_earlier_output_alone(start: Start) -> None:
    Path("out.jsonl").write_text("earlier\n")
    process = start("functions:ready", "-o", "out.jsonl")
    assert process.stdin is not None
    process.stdin.write("a\n")
    process.stdin.flush()
    await_file("ready")
    process.kill()
    process.wait(timeout=20)
    assert Path("out.jsonl").read_text() == "earlier\n"


def test_rows_of_an_earlier_run_that_was_not_whole_are_kept(run: Run) -> None:
    for number in range(3):
        run("functions:same", "-o", "out.jsonl", input=f"{number}\n".encode() + b"\xff\n")
    assert files() == ["out.jsonl.2.part", "out.jsonl.3.part", "out.jsonl.part"]
    assert values("out.jsonl.3.part") == ["2"]


@posix
def test_links_and_permissions_stay(run: Run) -> None:
    Path("folder").mkdir()
    target = Path("folder/out.jsonl")
    target.write_text("earlier\n")
    target.chmod(0o640)
    Path("out.jsonl").symlink_to(target)
    assert run("functions:same", "-o", "out.jsonl", input="a\n").exit_code == 0
    assert Path("out.jsonl").is_symlink()
    assert values("folder/out.jsonl") == ["a"]
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


def test_a_write_protected_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("out.jsonl").write_text("earlier\n")
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write anything
    with pytest.raises(click.UsageError) as caught:
        OutputFile("out.jsonl")
    assert caught.value.message == "'out.jsonl' can't be written: it is write-protected"
    assert files() == ["out.jsonl"]


def test_a_disk_that_is_full_at_the_end_leaves_an_earlier_output_alone(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    Path("out.jsonl").write_text("earlier\n")
    monkeypatch.setattr(os, "fsync", full)
    result = run("functions:same", "-o", "out.jsonl", input="a\n")
    assert "error: the output can't be written: No space left on device" in result.stderr
    assert result.exit_code == 1
    assert Path("out.jsonl").read_text() == "earlier\n"


def test_an_unexpected_exception_leaves_no_empty_file() -> None:
    with pytest.raises(ZeroDivisionError), OutputFile("out.jsonl"):
        raise ZeroDivisionError
    assert files() == []
    output = OutputFile("out.jsonl")
    output.file.write(b"row")
    with pytest.raises(ZeroDivisionError), output:
        raise ZeroDivisionError
    assert files() == ["out.jsonl.part"]


@posix
def test_a_named_pipe_is_written_in_place(start: Start) -> None:
    os.mkfifo("out.pipe")
    read: list[str] = []
    thread = threading.Thread(target=lambda: read.append(Path("out.pipe").read_text()))
    thread.start()
    start("functions:same", "-o", "out.pipe").communicate("a\n", timeout=20)
    thread.join()
    assert json.loads(read[0])["value"] == "a"
    assert files() == ["out.pipe"]


@posix
@pytest.mark.parametrize(
    ("shell", "named"),
    [
        ("functions:same -o out.txt < out.txt", "'out.txt' is the input '-'"),
        ("functions:same -o link.txt < out.txt", "'link.txt' is the input '-'"),
        ("functions:same -o link.txt out.txt", "'link.txt' is the input 'out.txt'"),
        ("functions:same -o out.txt --format paths 'out*'", "'out.txt' is the input 'out.txt'"),
        ("functions:same out.txt >> out.txt", "standard output is the input 'out.txt'"),
        ("functions:same < out.txt >> link.txt", "standard output is the input '-'"),
        ("functions.py:same -o functions.py --output-format csv", "'functions.py' has the Python"),
        ("functions:same -o helper.py --output-format csv", "'helper.py' has the Python code"),
    ],
)
def test_what_is_read_is_not_overwritten(shell: str, named: str) -> None:
    text = "\n".join("precious" for _ in range(3))
    Path("out.txt").write_text(text)
    os.link("out.txt", "link.txt")
    code = "import helper\ndef same(value): return value\n"
    Path("functions.py").write_text(code)
    Path("helper.py").write_text("# precious")
    command = " ".join([*COMMAND, shell])
    result = subprocess.run(
        command, shell=True, capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL
    )
    assert result.returncode == 2
    assert named in result.stderr
    assert "choose another file for the output" in result.stderr
    assert Path("out.txt").read_text() == text
    assert Path("functions.py").read_text() == code
    assert Path("helper.py").read_text() == "# precious"


@posix
def test_a_file_for_the_messages_is_not_replaced(start: Start) -> None:
    with open("out.txt", "w") as log:
        process = start("functions:same", "-o", "out.txt", stderr=log)
        process.communicate("a\n", timeout=20)
    assert process.returncode == 2
    assert "'out.txt' has the messages" in Path("out.txt").read_text()


@pytest.mark.parametrize("name", ["out.arrow", "out.bam", "out.JSON", "out.xlsx", "out.csv.lz4"])
def test_a_name_that_promises_another_format_is_refused(run: Run, name: str) -> None:
    result = run("functions:same", "-o", name, input="a\n")
    assert result.exit_code == 2
    assert f"would not be a {Path(name).suffix.lower()} file: rows are written" in result.stderr
    assert "jsonl, csv, tsv" in result.stderr
    assert files() == []
    assert run("functions:same", "-o", name, "--output-format", "csv", input="a\n").exit_code == 0
    assert Path(name).read_text().startswith("index,")


def test_without_any_row_there_is_no_header_either(run: Run) -> None:
    result = run("functions:same", "-o", "out.csv", input=b"\xff\n")
    assert "'out.csv' was not written" in result.stderr
    assert files() == []


def test_ndjson_is_json_lines(run: Run) -> None:
    run("functions:same", "-o", "out.ndjson", input="a\n")
    assert values("out.ndjson") == ["a"]


@pytest.mark.parametrize("option", ["-o", "--checkpoint", "--report", "--trace"])
def test_the_empty_name_is_refused(run: Run, option: str) -> None:
    """As `-o "$OUT"` gives it where OUT was not set."""
    result = run("functions:same", option, "", input="a\n")
    assert result.exit_code == 2, result.exception
    assert f"{option} ''" in result.stderr
    assert files() == []


def test_pq_is_parquet(run: Run) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    run("functions:same", "-o", "out.pq", input="a\n")
    assert parquet.read_table("out.pq").column("value").to_pylist() == ["a"]
