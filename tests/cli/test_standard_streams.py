"""Who has standard input and standard output while functions run."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

Start = Callable[..., "subprocess.Popen[str]"]
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
