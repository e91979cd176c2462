"""Results in a Parquet file."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from metainformant.cli import parquet
from metainformant.cli.failures import Failure
from metainformant.cli.parquet import ParquetRows
from metainformant.cli.values import UnfitValueError

from .test_output_file import posix
from .test_process import await_file

Runner = Callable[..., Result]


@pytest.fixture
def arrow() -> Any:
    return pytest.importorskip("pyarrow.parquet")


@pytest.fixture(autouse=True)
def _functions() -> None:
    Path("pq.py").write_text(
        "def table(text):\n"
        "    if text == 'bad': raise ValueError('no')\n"
        "    n = int(text)\n"
        "    return {'n': n, 'half': n / 2 if n else 0, 'odd': n % 2 == 1, 'raw': b'\\xff',\n"
        "            'list': [n], 'mixed': n if n else 'a', 'none': None, 'big': 2 ** 70}\n"
        "def later(text): return 'x' if text == '5' else int(text)\n"
        "def odd(text): return {'a\\udc80': 'b\\udc80'}\n"
    )


@pytest.fixture
def _small_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "_MAX_ROWS", 3)


def numbers(count: int) -> str:
    return "".join(f"{number}\n" for number in range(count))


def files() -> list[str]:
    return sorted(path.name for path in Path().iterdir() if path.name.startswith("out"))


def test_columns_have_types(run: Runner, arrow: Any) -> None:
    Path("out.parquet").write_text("earlier\n")
    result = run("pq:table", "-o", "out.parquet", input="0\nbad\n3\n")
    assert (result.exit_code, result.stdout) == (1, "")
    table = arrow.read_table("out.parquet")
    assert {field.name: str(field.type) for field in table.schema} == {
        "index": "int64", "name": "string", "n": "int64", "half": "double", "odd": "bool",
        "raw": "binary", "list": "string", "mixed": "string", "none": "string", "big": "string",
        "error": "string", "message": "string",
    }  # fmt: skip
    first, second, third = table.to_pylist()
    assert (first["half"], first["mixed"], first["error"]) == (0.0, "a", None)
    assert (second["n"], second["error"], second["message"]) == (None, "ValueError", "no")
    assert list(third.values()) == [
        2, "-:3", 3, 1.5, True, b"\xff", "[3]", "3", None, str(2**70), None, None
    ]  # fmt: skip
    assert files() == ["out.parquet"]


@pytest.mark.usefixtures("_small_groups")
def test_rows_are_written_in_groups(run: Runner, arrow: Any) -> None:
    assert run("functions:number", "-o", "out", "--output-format", "parquet", input=numbers(10))
    file = arrow.ParquetFile("out")
    assert [file.metadata.row_group(group).num_rows for group in range(4)] == [3, 3, 3, 1]
    assert file.read().column("value").to_pylist() == list(range(10))


def test_large_cells_fill_a_group_too(
    run: Runner, arrow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "_MAX_CHARACTERS", 1000)
    text = f"{'x' * 600}\n" * 6
    assert run("functions:same", "-o", "out.parquet", input=text).exit_code == 0
    assert arrow.ParquetFile("out.parquet").num_row_groups == 3


@pytest.mark.usefixtures("_small_groups")
def test_a_later_value_that_does_not_fit_has_failed(run: Runner, arrow: Any) -> None:
    result = run("pq:later", "-o", "out.parquet", input=numbers(7))
    assert result.exit_code == 1
    assert "7 records: 6 ok, 1 failed" in result.stderr
    assert "value is str, but the first 3 rows have made it a column of int64" in result.stderr
    table = arrow.read_table("out.parquet")
    assert table.column("value").to_pylist() == [0, 1, 2, 3, 4, None, 6]
    assert table.column("error").to_pylist()[5] == "UnfitValueError"


@pytest.mark.usefixtures("_small_groups", "arrow")
def test_what_fits_a_column() -> None:
    def settled(value: Any) -> ParquetRows:
        rows = ParquetRows(["at"])
        for index in range(2):
            assert rows.success(index, "a", value, [1]) == []
        assert len(rows.success(2, "a", value, [1])) == 4
        return rows

    assert settled("a").success(3, "b", {"k": 1}, [2])[0][3] == '{"k": 1}'
    assert settled("a").success(3, "b", b"\xff", [2])[0][3] == "\\xff"
    assert settled(0.5).success(3, "b", 2, [2])[0][3] == 2.0
    for first, later in [(1, 0.5), (1, True), (1, 2**63), (True, 1), (0.5, "a"), (b"a", "a")]:
        with pytest.raises(UnfitValueError, match=r"value is .*, but the first 3 rows"):
            settled(first).success(3, "b", later, [2])
    rows = settled(1)
    with pytest.raises(UnfitValueError, match=r"at is str"):
        rows.success(3, "b", 1, ["x"])
    failure = Failure("b", "ValueError", "no", "", is_cancelled=False)
    assert rows.failure(3, failure, ["x"]) == [[3, "b", None, None, "ValueError", "no"]]


def test_text_that_utf_8_can_t_hold(run: Runner, arrow: Any) -> None:
    assert run("pq:odd", "-o", "out.parquet", input="a\n").exit_code == 0
    assert arrow.read_table("out.parquet").column("a\\udc80").to_pylist() == ["b\\udc80"]


def test_the_rows_of_a_run_that_stops_can_be_read(run: Runner, arrow: Any) -> None:
    result = run("functions:same", "-o", "out.parquet", input=b"a\n\xff\n")
    assert "rows so far are in 'out.parquet.part'; 'out.parquet' was not written" in result.stderr
    assert arrow.read_table("out.parquet.part").column("value").to_pylist() == ["a"]
    run("functions:same", "-o", "out2.parquet", input=b"\xff\n")
    assert files() == ["out.parquet.part"]


@posix
@pytest.mark.usefixtures("arrow")
def test_a_second_ctrl_c_says_that_the_rows_are_lost(start: Callable[..., Any]) -> None:
    process = start("functions:hang", "-o", "out.parquet")
    process.stdin.write("hang\n")
    process.stdin.flush()
    await_file("ready")
    process.send_signal(signal.SIGINT)
    assert "interrupted" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert "'out.parquet.part' has no end and can't be read; 'out.parquet' was not" in err


def test_without_pyarrow_nothing_is_started(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "pyarrow"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    result = run("functions:ready", "-o", "out.parquet", input="a\n")
    assert result.exit_code == 2
    assert (
        "parquet needs pyarrow, which is not installed; run: pip install pyarrow" in result.stderr
    )
    assert not Path("ready").exists()
    assert files() == []


def test_what_can_t_be_written_is_the_error_of_a_file(
    run: Runner, arrow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(arrow.ParquetWriter, "write_table", full)
    result = run("functions:same", "-o", "out.parquet", input="a\n")
    assert result.exit_code == 1
    assert "error: the output can't be written: No space left on device" in result.stderr
    assert not Path("out.parquet").exists()


def test_not_on_standard_output(run: Runner) -> None:
    result = run("functions:same", "--output-format", "parquet", input="a\n")
    assert result.exit_code == 2
    assert "parquet can't be written on standard output; name a file with -o FILE" in result.stderr
