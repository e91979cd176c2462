"""Failures in words."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from metainformant.cli.failures import Failure, FailureGroups, failure_of
from metainformant.core.parallel.host.gil import HAS_GIL

Run = Callable[..., Result]
FAILING = """
import subprocess, sys
CODE = "import sys; print('no such chromosome', file=sys.stderr); sys.exit(3)"
def program(text):
    options = {"check": True, "capture_output": True, "text": text == "text"}
    try:
        subprocess.run([sys.executable, "-c", CODE], **options)
    except subprocess.CalledProcessError as error:
        if text == "chained":
            raise RuntimeError("alignment failed") from error
        raise
def outer(text):
    return inner(text)
def inner(text):
    if text == "hang":
        while True: pass
    raise ValueError(f"bad {text}")
"""


@pytest.fixture(autouse=True)
def failing(workplace: Path) -> None:
    (workplace / "failing.py").write_text(FAILING)


def rows(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.mark.parametrize("backend", ["thread", "process"])
def test_the_stderr_of_a_program_that_failed(run: Run, backend: str) -> None:
    text = "bytes\ntext\nchained\n"
    result = run("failing.py:program", "--backend", backend, "-j", "1", input=text)
    messages = [row["message"] for row in rows(result)]
    assert all(message.endswith(" Its stderr: no such chromosome") for message in messages)
    assert "returned non-zero exit status 3." in messages[0]
    assert messages[2].startswith("alignment failed ")
    assert "-:1 and 1 more: CalledProcessError: " in result.stderr
    assert "exit status 3. Its stderr: no such chromosome\n" in result.stderr
    assert "  -:3: RuntimeError: alignment failed Its stderr: no such" in result.stderr


@pytest.mark.parametrize("backend", ["thread", "process"])
def test_traceback(run: Run, backend: str) -> None:
    options = ("--backend", backend, "-j", "1", "--timeout", "1")
    result = run("failing.py:outer", "--traceback", *options, input="a\nhang\nb\n")
    if backend == "thread" and not HAS_GIL:  # nobody may look where a thread is
        assert ["traceback" in row for row in rows(result)] == [True, False, True]
        return
    tracebacks = [row["traceback"] for row in rows(result)]
    for text in tracebacks:
        assert re.search(r'failing.py", line \d+, in outer\n', text)
        assert "metainformant/cli" not in text
    assert tracebacks[0].startswith("Traceback (most recent call last)")
    assert tracebacks[0].endswith("\nValueError: bad a")
    assert re.search(r'failing.py", line \d+, in inner', tracebacks[1])
    assert re.search(r'\n    .*failing.py", line \d+, in inner\n', result.stderr)
    assert not any("traceback" in row for row in rows(run("failing.py:outer", input="a\n")))


def test_tables_have_no_column_for_tracebacks(run: Run) -> None:
    result = run("failing.py:outer", "--traceback", "--output-format", "csv", input="a\n")
    assert result.stdout.splitlines()[0] == "index,name,value,error,message"
    assert "in inner" in result.stderr


def groups(*failures: tuple[str, str, str]) -> list[str]:
    found = FailureGroups()
    for name, error, message in failures:
        found.add(Failure(name, error, message, "", is_cancelled=error == "Cancelled"))
    return found.in_words().splitlines()


def test_groups_are_of_one_class_and_message_and_the_largest_come_first() -> None:
    assert groups(
        ("a", "Cancelled", "was running"),
        ("b", "Cancelled", "was running"),
        ("c", "KeyError", "'x'"),
        ("d", "ValueError", 'no "x" in line 3'),
        ("e", "ValueError", 'no "yy" in line 17'),
        ("f", "ValueError", "other"),
    ) == [
        '  d and 1 more: ValueError: no "x" in line 3',
        "  c: KeyError: 'x'",
        "  f: ValueError: other",
        "  a and 1 more: Cancelled: was running",
    ]


def test_only_the_largest_are_shown() -> None:
    words = ["one", "two", "three", "four", "five", "six", "seven", "seven"]
    lines = groups(*((str(number), "E", word) for number, word in enumerate(words)))
    assert lines[0] == "  6 and 1 more: E: seven"
    assert len(lines) == 6
    assert lines[5] == "  … and 2 more, of 2 other kinds"


def test_groups_are_bounded() -> None:
    def letters(number: int) -> str:
        return "".join(chr(ord("a") + int(digit)) for digit in str(number))

    found = FailureGroups()
    for number in range(5000):
        found.add(Failure("n", "E", letters(number), "", is_cancelled=False))
    assert found.in_words().splitlines()[0] == "  n and 3,999 more: E: baaa"


def test_a_long_message_keeps_its_end() -> None:
    (line,) = groups(("a", "E", f"begin {'x' * 10_000} end"))
    assert line.startswith("  a: E: begin xxx")
    assert line.endswith("xxx end")
    assert len(line) < 260


def test_faulty_exceptions_have_rows_too() -> None:
    class FaultyError(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no")

    failure = failure_of("a", FaultyError(), with_traceback=True)
    assert failure.message == "(its message can't be shown)"


def test_only_errors_of_programs_have_a_stderr() -> None:
    class RemoteError(Exception):
        stderr = "said"

    assert failure_of("a", RemoteError("no"), with_traceback=False).message == "no"
    expired = subprocess.TimeoutExpired([sys.executable], 1, stderr=b"slow \xff\n")
    assert failure_of("a", expired, with_traceback=False).message.endswith(
        "Its stderr: slow \ufffd"
    )
