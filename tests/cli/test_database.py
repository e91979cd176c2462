"""Results in a SQLite database."""

from __future__ import annotations

import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from metainformant.cli.database import DatabaseFile
from metainformant.cli.output_file import OutputFile
from tests.support import wait_until

from .test_output_file import posix
from .test_process import await_file

Runner = Callable[..., Result]


@pytest.fixture(autouse=True)
def _functions() -> None:
    Path("db.py").write_text(
        "import math\n"
        "VALUES = [1, 0.5, 'text', b'\\x00\\xff', None, True, [1, {'k': 2}], 2**70, math.inf]\n"
        "def kinds(text): return VALUES[int(text)]\n"
        "def table(text):\n"
        "    if text == 'bad': raise ValueError('no')\n"
        "    return {'gc': 0.5, 'Name': text, 'GC': len(text), 'a \"b\"': b'x', '': None}\n"
        "def odd(text): return {'a\\udc80\\0': 'b\\udc80'}\n"
        "def mixed(text): return {'n': 1} if text == 'a' else {'m': 1}\n"
    )


def query(path: str, sql: str = "SELECT * FROM results") -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as database:
        return database.execute(sql).fetchall()


def columns(path: str) -> list[str]:
    return [name for _, name, *_ in query(path, "PRAGMA table_info(results)")]


def files() -> list[str]:
    return sorted(path.name for path in Path().iterdir() if path.name.startswith("out"))


@pytest.mark.parametrize("name", ["out.sqlite", "out.db", "out.SQLITE3"])
def test_the_table_has_the_columns_of_csv(run: Runner, name: str) -> None:
    Path(name).write_text("earlier\n")
    result = run("db:table", "-o", name, input="a\nbad\n")
    assert (result.exit_code, result.stdout) == (1, "")
    assert columns(name) == [
        "index", "name", "gc", "value.Name", "value.GC", 'a "b"', "", "error", "message"
    ]  # fmt: skip
    assert query(name) == [
        (0, "-:1", 0.5, "a", 1, b"x", None, None, None),
        (1, "-:2", None, None, None, None, None, "ValueError", "no"),
    ]
    assert files() == [name]


def test_values_keep_their_types(run: Runner) -> None:
    text = "".join(f"{number}\n" for number in range(9))
    assert run("db:kinds", "-o", "out", "--output-format", "sqlite", input=text).exit_code == 0
    assert query("out", 'SELECT value, typeof(value) FROM results ORDER BY "index"') == [
        (1, "integer"),
        (0.5, "real"),
        ("text", "text"),
        (b"\x00\xff", "blob"),
        (None, "null"),
        (1, "integer"),
        ('[1, {"k": 2}]', "text"),
        (str(2**70), "text"),
        (float("inf"), "real"),
    ]


def test_text_that_a_database_can_t_hold(run: Runner) -> None:
    assert run("db:odd", "-o", "out.db", input="a\n").exit_code == 0
    assert columns("out.db")[2] == "a\\udc80"
    assert query("out.db")[0][2] == "b\\udc80"


def test_a_result_with_other_keys_has_failed(run: Runner) -> None:
    result = run("db:mixed", "-o", "out.db", input="a\nb\n")
    assert result.exit_code == 1
    assert "the key 'm' is not among those of the first result" in result.stderr
    assert query("out.db", "SELECT n, error FROM results") == [(1, None), (None, "UnfitValueError")]


def test_many_rows_kept_columns_and_no_failures(run: Runner) -> None:
    Path("in.csv").write_text("n,name\n" + "".join(f"{n},x\n" for n in range(5000)))
    arguments = ("in.csv", "-o", "out.db", "--keep", "n,name")
    assert run("builtins:len", *arguments).exit_code == 0
    assert columns("out.db") == ["index", "name", "n", "input.name", "value", "error", "message"]
    assert query("out.db", "SELECT count(*), sum(n), sum(value) FROM results") == [
        (5000, 4999 * 2500, 10_000)
    ]


def test_the_rows_of_a_run_that_stops_can_be_queried(run: Runner) -> None:
    Path("out.db").write_text("earlier\n")
    result = run("functions:same", "-o", "out.db", input=b"a\n\xff\n")
    assert "rows so far are in 'out.db.part'; 'out.db' is as it was" in result.stderr
    assert query("out.db.part") == [(0, "-:1", "a", None, None)]
    assert Path("out.db").read_text() == "earlier\n"
    run("functions:same", "-o", "out2.db", input=b"\xff\n")
    assert files() == ["out.db", "out.db.part"]


@posix
def test_a_second_ctrl_c_leaves_rows_that_can_be_queried(start: Callable[..., Any]) -> None:
    Path("in.txt").write_text("a\nhang\n")
    process = start("functions:hang", "in.txt", "-j", "1", "--chunk-size", "1", "-o", "out.db")
    await_file("ready")
    wait_until(lambda: Path("out.db.part").stat().st_size > 0)
    process.send_signal(signal.SIGINT)
    assert "interrupted" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert query("out.db.part", "SELECT value FROM results") == [("a",)]


@posix
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--output-format", "sqlite"], "sqlite can't be written on standard output; name a file"),
        (["-o", "/dev/stdout", "--output-format", "sqlite"], "can't be written on standard output"),
        (["-o", "out.db.gz"], "sqlite can't be written in a compressed file"),
        (["-o", "/dev/null", "--output-format", "sqlite"], "'/dev/null' is a pipe or a device"),
    ],
)
def test_where_no_database_can_be(run: Runner, arguments: list[str], message: str) -> None:
    result = run("functions:same", *arguments, input="a\n")
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr
    assert files() == []


def test_an_input_is_not_replaced(run: Runner) -> None:
    Path("out.db").write_text("a\n")
    result = run("functions:same", "out.db", "--format", "lines", "-o", "out.db")
    assert result.exit_code == 2
    assert "'out.db' is the input 'out.db' too" in result.stderr
    assert Path("out.db").read_text() == "a\n"


def test_what_can_t_be_written_is_the_error_of_a_file() -> None:
    with OutputFile("out.db", row_file=DatabaseFile) as output:
        output.writer.write([["index", "name", *map(str, range(40_000)), "error", "message"]])
        for _ in range(2):
            with pytest.raises(OSError, match="too many columns"):
                output.writer.flush()
