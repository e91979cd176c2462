"""Outcomes for other programs."""

from __future__ import annotations

import csv
import dataclasses
import enum
import importlib.util
import io
import json
import math
import os
import sqlite3
import stat
import sys
import types
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from metainformant.core.parallel.checkpoint import parquet
from metainformant.core.parallel.checkpoint.config import Checkpoint
from metainformant.core.parallel.checkpoint.errors import CheckpointError, CheckpointWarning
from metainformant.core.parallel.checkpoint.plain import to_json

from .tasks import double, fail_at_odd, run_map
from .test_keys import VALUES

posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX files")


def same(item: Any) -> Any:
    return item


def fail_with_item(item: str) -> None:
    raise ValueError(item)


def recorded(folder: Path, values: Sequence[Any]) -> Checkpoint:
    """A checkpoint that has these values."""
    checkpoint = Checkpoint(folder / "run.db", key=lambda item: 0)
    run_map(checkpoint, same, values)
    return checkpoint


def json_lines(path: Path) -> list[Any]:
    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    lines = path.read_text("utf-8").split("\n")
    assert lines.pop() == ""
    return [json.loads(line, parse_constant=refuse) for line in lines]


def read_csv(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


def test_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    run_map(Checkpoint(path), fail_at_odd, [2, 3])
    run_map(Checkpoint(path), same, ["é", (1,)])
    assert Checkpoint(path).export(tmp_path / "out.jsonl") == 4
    rows = json_lines(tmp_path / "out.jsonl")
    assert [row["item"] for row in rows] == ["2", "3", "é", "[1]"]
    assert [row["value"] for row in rows] == [4, None, "é", "<pickled>"]
    assert [row["error"] for row in rows] == [None, "builtins.ValueError", None, None]
    assert rows[1]["message"] == "3 is odd"
    Checkpoint(path).export(tmp_path / "out.jsonl", allow_pickle=True)
    assert json_lines(tmp_path / "out.jsonl")[3]["value"] == [1]
    assert sorted(os.listdir(tmp_path)) == ["out.jsonl", "run.db"]


def test_failures_have_their_traceback(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    run_map(Checkpoint(path), fail_at_odd, range(4))
    run_map(Checkpoint(path), fail_at_odd, [4, 6, 8])
    assert Checkpoint(path).export(tmp_path / "out.jsonl", failures=True) == 2
    rows = json_lines(tmp_path / "out.jsonl")
    assert [row["item"] for row in rows] == ["1", "3"]
    assert rows[0]["traceback"].endswith("ValueError: 1 is odd\n")
    assert "value" not in rows[0]
    Checkpoint(path).export(tmp_path / "out.csv", failures=True)
    assert read_csv(tmp_path / "out.csv")[1]["message"] == "3 is odd"


class Shade(enum.Enum):
    DARK = "dark"


@dataclasses.dataclass
class Point:
    x: int
    y: Any


class Hostile:
    def __repr__(self) -> str:
        raise RuntimeError("no words")


ODD = [
    math.nan,
    math.inf,
    b"text",
    b"\xff\xfe",
    {"a": [1, {"b": math.nan}], "c": b"\xff"},
    {(1, 2): {3}},
    1 << 200,
    10**5000,
    [10**5000],
    "\ud800 half",
    "tab\t line\n\r\x1b[31m \x00 \u2028",
    Decimal("1.50"),
    date(2026, 1, 2),
    Path("a"),
    Shade.DARK,
    Point(1, None),
    Hostile(),
    None,
]


def test_odd_values_are_valid_json(tmp_path: Path) -> None:
    recorded(tmp_path, ODD).export(tmp_path / "out.jsonl", allow_pickle=True)
    values = [row["value"] for row in json_lines(tmp_path / "out.jsonl")]
    assert values[:7] == [
        None,
        None,
        "text",
        "fffe",
        {"a": [1, {"b": None}], "c": "ff"},
        {"(1, 2)": [3]},
        1 << 200,
    ]
    assert values[7:9] == [hex(10**5000), [hex(10**5000)]]
    assert values[9:11] == ODD[9:11]
    assert values[11:16] == ["1.50", "2026-01-02", "a", "dark", {"x": 1, "y": None}]
    assert values[16:] == ["<Hostile>", None]


def test_odd_values_are_cells(tmp_path: Path) -> None:
    recorded(tmp_path, ODD).export(tmp_path / "out.csv", allow_pickle=True)
    cells = [row["value"] for row in read_csv(tmp_path / "out.csv")]
    assert cells[:4] == ["nan", "inf", "text", "fffe"]
    assert cells[4:6] == ['{"a": [1, {"b": null}], "c": "ff"}', '{"(1, 2)": [3]}']
    assert cells[9:11] == ["\\ud800 half", ODD[10]]
    assert cells[16:] == ["<Hostile>", ""]


@given(VALUES)
def test_any_value_has_a_line(value: Any) -> None:
    text = to_json(value)
    json.loads(text)
    assert "\n" not in text
    text.encode()


def test_a_value_that_contains_itself() -> None:
    loop: list[Any] = []
    loop.append(loop)
    assert json.loads(to_json(loop)) == "[[...]]"


def test_odd_items_and_messages(tmp_path: Path) -> None:
    odd = ["\udcff", "a\tb\nc\r", "\x1b[2J"]
    run_map(Checkpoint(tmp_path / "run.db"), fail_with_item, odd)
    for name in ("out.jsonl", "out.csv"):
        assert Checkpoint(tmp_path / "run.db").export(tmp_path / name) == 3
    rows = json_lines(tmp_path / "out.jsonl")
    assert [row["item"] for row in rows] == odd
    assert [row["message"] for row in rows] == odd
    assert [row["message"] for row in read_csv(tmp_path / "out.csv")] == ["\\udcff", *odd[1:]]


def test_an_open_file_gets_the_rows(tmp_path: Path) -> None:
    run_map(Checkpoint(tmp_path / "run.db"), double, [1])
    text = io.StringIO()
    assert Checkpoint(tmp_path / "run.db").export(text, format="csv") == 1
    assert text.getvalue().startswith("run,version,item,value,")
    assert not text.closed
    with (
        open(tmp_path / "x", "wb") as binary,
        pytest.raises(TypeError, match="must be a path, or a file that is open for writing text"),
    ):
        Checkpoint(tmp_path / "run.db").export(binary, format="csv")  # type: ignore[arg-type]


def test_what_cannot_be_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    missing = Checkpoint(tmp_path / "missing.db")
    with pytest.raises(ValueError, match=r"'out.txt' must end in .jsonl, .csv or .parquet"):
        missing.export("out.txt")
    with pytest.raises(ValueError, match="format='xml' must be 'jsonl', 'csv' or 'parquet'"):
        missing.export("out.txt", format="xml")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="format=None must be 'jsonl' or 'csv'"):
        missing.export(io.StringIO())
    with pytest.raises(ValueError, match="format='parquet' is no text; pass a path"):
        missing.export(io.StringIO(), format="parquet")
    with pytest.raises(TypeError, match="target=3 must be a path"):
        missing.export(3)  # type: ignore[arg-type]
    with pytest.raises(CheckpointError, match="there is no checkpoint"):
        missing.export(tmp_path / "out.csv")
    assert os.listdir(tmp_path) == []


def test_the_checkpoint_is_not_overwritten(tmp_path: Path) -> None:
    run_map(Checkpoint(tmp_path / "run.csv"), double, [1])
    (tmp_path / "link.csv").symlink_to("run.csv")
    for name in ("run.csv", "link.csv"):
        with pytest.raises(ValueError, match="is the checkpoint, or belongs to it"):
            Checkpoint(tmp_path / "run.csv").export(tmp_path / name)
    assert Checkpoint(tmp_path / "run.csv").status().runs[0].ok == 1


def test_an_export_is_complete_or_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = recorded(tmp_path, [1, Late()])
    (tmp_path / "out.csv").write_text("before")
    monkeypatch.setattr(f"{__name__}.Late", None)
    wanted = r"the value of item .* of .*same can't be loaded: .*Make its module importable"
    with pytest.raises(CheckpointError, match=wanted):
        checkpoint.export(tmp_path / "out.csv", allow_pickle=True)
    with pytest.raises(FileNotFoundError, match=r"no/out.csv"):
        checkpoint.export(tmp_path / "no" / "out.csv")
    assert (tmp_path / "out.csv").read_text() == "before"
    assert sorted(os.listdir(tmp_path)) == ["out.csv", "run.db"]
    assert checkpoint.export(tmp_path / "out.csv") == 2


class Late:
    """Its class is not there any more when it is loaded."""


def damage(path: Path, column: str, piece: int) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute(f"UPDATE piece SET {column} = '[0,0,0]' WHERE id = ?", (piece,))
    connection.close()


def test_what_is_damaged_can_be_left_out(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "run.db")
    run_map(checkpoint, double, range(9))
    damage(tmp_path / "run.db", "results", 1)
    damage(tmp_path / "run.db", "keys", 2)
    with pytest.raises(CheckpointError, match=r"is damaged: piece 2 .* export --skip-damaged"):
        checkpoint.export(tmp_path / "out.jsonl")
    assert os.listdir(tmp_path) == ["run.db"]
    for name in ("out.jsonl", "out.parquet") if has_pyarrow() else ("out.jsonl",):
        with pytest.warns(CheckpointWarning, match="piece 1 is .* and 1 more like it") as caught:
            assert checkpoint.export(tmp_path / name, skip_damaged=True) == 3
        assert [Path(each.filename).name for each in caught] == [Path(__file__).name]
    assert [row["value"] for row in json_lines(tmp_path / "out.jsonl")] == [12, 14, 16]


@pytest.mark.parametrize("at", [0.5, 0.7, 0.9])
def test_of_a_file_with_a_hole(tmp_path: Path, at: float) -> None:
    checkpoint = Checkpoint(tmp_path / "run.db")
    run_map(checkpoint, double, range(20_000), piece=100)
    with open(tmp_path / "run.db", "r+b") as file:
        file.seek(int(os.stat(tmp_path / "run.db").st_size * at) // 16384 * 16384)
        file.write(b"\x5a" * 16384)
    with pytest.raises(CheckpointError, match="is damaged"):
        checkpoint.export(tmp_path / "out.csv")
    with pytest.warns(CheckpointWarning, match=r"not all of .* was exported"):
        assert 0 < checkpoint.export(tmp_path / "out.csv", skip_damaged=True) < 20_000


def has_pyarrow() -> bool:
    return importlib.util.find_spec("pyarrow") is not None


@posix
def test_the_new_file_is_as_others_are(tmp_path: Path) -> None:
    checkpoint = recorded(tmp_path, [1])
    (tmp_path / "plain").touch()
    checkpoint.export(tmp_path / "out.csv")
    assert (tmp_path / "out.csv").stat().st_mode == (tmp_path / "plain").stat().st_mode
    os.chmod(tmp_path / "out.csv", 0o600)
    (tmp_path / "link.csv").symlink_to("out.csv")
    checkpoint.export(tmp_path / "link.csv")
    assert (tmp_path / "link.csv").is_symlink()
    assert stat.S_IMODE((tmp_path / "out.csv").stat().st_mode) == 0o600
    checkpoint.export("/dev/null", format="jsonl")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


@posix
def test_a_pipe_is_no_checkpoint(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "run.db")
    with pytest.raises(CheckpointError, match="is a pipe or a device"):
        Checkpoint(tmp_path / "run.db").export(tmp_path / "out.csv")
    with pytest.raises(CheckpointError, match="is a pipe or a device"):
        Checkpoint("/dev/null").status()
    with pytest.raises(CheckpointError, match="is a pipe or a device"):
        run_map(Checkpoint(tmp_path / "run.db"), double, [1])


def test_a_long_name(tmp_path: Path) -> None:
    recorded(tmp_path, [1]).export(tmp_path / f"{'é' * 120}.csv")


def test_an_export_goes_by_one_moment(tmp_path: Path) -> None:
    """What is recorded meanwhile belongs to the next one."""
    checkpoint = Checkpoint(tmp_path / "run.db")
    run_map(checkpoint, fail_at_odd, range(6))
    entries = checkpoint.outcomes()
    first = next(entries)
    run_map(Checkpoint(tmp_path / "run.db", name=first.run, on_change="accept"), double, range(9))
    rest = list(entries)
    assert [first.item, *(entry.item for entry in rest)] == list("012345")
    assert [entry.value for entry in rest] == [None, 4, None, 8, None]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([True, None, False], "bool"),
        ([1, None, -(1 << 63)], "int64"),
        ([1.5, math.inf, 2], "double"),
        (["a", None, "b\n\x00"], "string"),
        ([b"\xff", b""], "binary"),
        ([None, None], "string"),
    ],
)
def test_parquet_has_a_column_of_one_kind(tmp_path: Path, values: list[Any], kind: str) -> None:
    table = read_parquet(recorded(tmp_path, values), tmp_path / "out.parquet")
    assert str(table.schema.field("value").type) == kind
    assert table.column("value").to_pylist() == values
    assert str(table.schema.field("attempts").type) == "int64"
    assert table.column("error").null_count == len(values)


@pytest.mark.parametrize(
    ("values", "written"),
    [
        ([1, "a"], ["1", '"a"']),
        ([True, 1], ["true", "1"]),
        ([1 << 63, None], [str(1 << 63), None]),
        ([(1 << 53) + 1, 0.5], [str((1 << 53) + 1), "0.5"]),
        ([[1], {"a": math.nan}], ["[1]", '{"a": null}']),
        ([1, (1,)], ["1", '"<pickled>"']),
    ],
)
def test_parquet_has_json_for_what_is_mixed(
    tmp_path: Path, values: list[Any], written: list[Any]
) -> None:
    table = read_parquet(recorded(tmp_path, values), tmp_path / "out.parquet")
    assert str(table.schema.field("value").type) == "string"
    assert table.column("value").to_pylist() == written


def test_parquet_of_loaded_pickles(tmp_path: Path) -> None:
    numpy = pytest.importorskip("numpy")
    values = [numpy.float64(1.5), numpy.float32(2), 3]
    checkpoint = recorded(tmp_path, values)
    table = read_parquet(checkpoint, tmp_path / "out.parquet", allow_pickle=True)
    assert table.column("value").to_pylist() == [1.5, 2.0, 3.0]


def test_parquet_of_odd_text(tmp_path: Path) -> None:
    odd = ["\udcff", "a\tb\nc\r", "\x1b[2J"]
    checkpoint = Checkpoint(tmp_path / "run.db")
    run_map(checkpoint, fail_with_item, odd)
    table = read_parquet(checkpoint, tmp_path / "out.parquet", failures=True)
    assert table.column("message").to_pylist() == ["\\udcff", *odd[1:]]
    assert "value" not in table.column_names


def test_parquet_is_written_in_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pyarrow = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr(parquet, "_MAX_ROWS", 4)
    checkpoint = recorded(tmp_path, list(range(9)))
    checkpoint.export(tmp_path / "out.parquet")
    file = pyarrow.ParquetFile(tmp_path / "out.parquet")
    sizes = [file.metadata.row_group(at).num_rows for at in range(file.num_row_groups)]
    assert sizes == [4, 4, 1]
    monkeypatch.setattr(parquet, "_MAX_BYTES", 1)
    checkpoint.export(tmp_path / "out.parquet")
    assert pyarrow.ParquetFile(tmp_path / "out.parquet").num_row_groups == 9


def test_parquet_of_nothing(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "run.db")
    run_map(checkpoint, double, [])
    assert read_parquet(checkpoint, tmp_path / "out.parquet").num_rows == 0


def test_pyarrow_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "pyarrow"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ModuleNotFoundError, match="run: pip install pyarrow"):
        recorded(tmp_path, [1]).export(tmp_path / "out.parquet")
    assert os.listdir(tmp_path) == ["run.db"]


def read_parquet(checkpoint: Checkpoint, path: Path, **options: Any) -> Any:
    pyarrow: types.ModuleType = pytest.importorskip("pyarrow.parquet")
    count = checkpoint.export(path, **options)
    table = pyarrow.read_table(path)
    assert table.num_rows == count
    return table
