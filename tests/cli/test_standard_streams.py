"""Who has standard input and standard output while functions run."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

Start = Callable[..., "subprocess.Popen[str]"]
posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX")
both_backends = pytest.mark.parametrize("backend", ["thread", "process"])


def rows(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


@both_backends
def test_children_of_the_function_get_an_empty_standard_input(start: Start, backend: str) -> None:
    process = start("functions:child_reads", "--backend", backend, "-j", "1", "--chunk-size", "1")
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("a\n")
    process.stdin.flush()
    first = process.stdout.readline()  # a child that reads would wait for more, and eat it
    out, err = process.communicate("b\nc\n", timeout=60)
    assert [row["value"] for row in rows(first + out)] == ["0\n"] * 3, err


@both_backends
def test_input_finds_nothing(start: Start, backend: str) -> None:
    process = start("functions:ask", "--backend", backend, "-j", "1")
    out, _ = process.communicate("a\nb\n", timeout=60)
    assert [row["error"] for row in rows(out)] == ["EOFError"] * 2


def test_an_import_reads_no_records_either(start: Start) -> None:
    Path("nosy.py").write_text("import sys\nread = sys.stdin.read()\ndef f(x): return read")
    out, _ = start("nosy:f").communicate("a\n", timeout=60)
    assert [row["value"] for row in rows(out)] == [""]


def test_input_in_memory_is_not_for_functions_either(run: Callable[..., Result]) -> None:
    assert [row["error"] for row in rows(run("functions:ask", input="a\n").stdout)] == ["EOFError"]


@pytest.mark.skipif(not Path("/dev/stdin").exists(), reason="needs /dev/stdin")
def test_other_names_of_standard_input(start: Start) -> None:
    out, _ = start("functions:same", "/dev/stdin").communicate("a\n", timeout=60)
    assert rows(out) == [{"index": 0, "name": "/dev/stdin:1", "value": "a"}]


def test_a_file_never_lands_where_standard_input_was_closed(start: Start) -> None:
    Path("in.txt").write_text("a\nb\n")
    with open("in.txt") as closed:
        process = start("functions:child_reads", "in.txt", "-j", "1", stdin=closed, close=[0])
    out, err = process.communicate(timeout=60)
    assert [row["value"] for row in rows(out)] == ["0\n"] * 2, err


SPEAKING = """
import ctypes, os, subprocess, sys
def speak(text):
    subprocess.run(["echo", "from a child"])
    os.write(1, b"from os.write")
    ctypes.CDLL(None).printf(b"from C")
    print("from sys.__stdout__", file=sys.__stdout__)
    print("from print")
    return text
def speak_and_die(text):
    print("from the dead")
    os._exit(1)
"""


@posix
@both_backends
def test_only_rows_are_on_standard_output(start: Start, backend: str) -> None:
    Path("speaking.py").write_text(SPEAKING)
    process = start("speaking:speak", "--backend", backend, "-j", "1")
    out, err = process.communicate("a\nb\n", timeout=60)
    assert [row["value"] for row in rows(out)] == ["a", "b"]
    for speaker in ("a child", "os.write", "C", "sys.__stdout__", "print"):
        assert f"from {speaker}" in err


def test_what_an_import_prints_is_not_among_the_rows(start: Start) -> None:
    Path("loud.py").write_text("import os\nos.write(1, b'loud')\nprint('louder')\nf = str.upper")
    out, err = start("loud:f").communicate("a\n", timeout=60)
    assert [row["value"] for row in rows(out)] == ["A"]
    assert "loud" in err
    assert "louder" in err


@posix
def test_print_of_a_process_that_dies_is_not_lost(start: Start) -> None:
    Path("speaking.py").write_text(SPEAKING)
    process = start("speaking:speak_and_die", "--backend", "process", "-j", "1")
    _, err = process.communicate("a\n", timeout=60)
    assert "from the dead" in err


@pytest.mark.skipif(not Path("/dev/stdout").exists(), reason="needs /dev/stdout")
def test_other_names_of_standard_output(start: Start) -> None:
    out, _ = start("functions:same", "-o", "/dev/stdout").communicate("a\n", timeout=60)
    assert rows(out) == [{"index": 0, "name": "-:1", "value": "a"}]


@posix
@pytest.mark.parametrize("closed", [[1], [2], [0, 1, 2]])
def test_closed_streams_take_no_harm(start: Start, closed: list[int]) -> None:
    Path("speaking.py").write_text(SPEAKING)
    Path("in.txt").write_text("a\nb\n")
    process = start("speaking:speak", "in.txt", "-o", "out.jsonl", "-j", "1", close=closed)
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert [row["value"] for row in rows(Path("out.jsonl").read_text())] == ["a", "b"]
