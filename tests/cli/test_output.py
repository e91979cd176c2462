from __future__ import annotations

import csv
import dataclasses
import datetime
import decimal
import enum
import fractions
import io
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest

from metainformant.cli.failures import Failure
from metainformant.cli.row_writer import RowWriter
from metainformant.cli.rows import JsonLines, Table
from metainformant.cli.values import UnfitValueError, to_json


@dataclasses.dataclass
class Point:
    x: float
    tags: set[str]


class Color(enum.Enum):
    RED = "red"


class Stamp(enum.Enum):
    AT = datetime.date(2020, 1, 2)


class Scalar:
    def item(self) -> float:
        return 2.5


class Array:
    def tolist(self) -> list[float]:
        return [1.0, float("inf")]


class Odd:
    def __repr__(self) -> str:
        return "<odd>"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"a": [1, None, "ü\n"]}, {"a": [1, None, "ü\n"]}),
        (float("nan"), None),
        ([float("-inf"), {"x": float("inf")}], [None, {"x": None}]),
        ((1, 2), [1, 2]),
        ({3, 1, 2}, [1, 2, 3]),
        ({1, "a"}, ["a", 1]),
        (b"AC\xff", "AC\\xff"),
        (PurePosixPath("a/b"), "a/b"),
        (Point(float("nan"), {"t"}), {"x": None, "tags": ["t"]}),
        (Color.RED, "red"),
        (datetime.date(2002, 5, 1), "2002-05-01"),
        (Scalar(), 2.5),
        (Array(), [1.0, None]),
        ({(1, 2): Odd(), None: 0}, {"(1, 2)": "<odd>", "None": 0}),
        (Odd(), "<odd>"),
        (Odd, repr(Odd)),
    ],
)
def test_any_value_becomes_json(value: object, expected: object) -> None:
    text = to_json(value)
    assert "\n" not in text
    assert json.loads(text, parse_constant=pytest.fail) == expected


async def coroutine() -> int:
    return 3


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: (number for number in [1]), "type generator, whose values nobody would take; "),
        (lambda: [{"a": map(str, [1])}], "type map, whose values nobody would take; return list"),
        (coroutine, "for which nobody would wait here; make the function an async def that awaits"),
    ],
)
def test_what_has_no_value_yet_is_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(UnfitValueError, match=message):
        JsonLines().success(0, "a", make())
    with pytest.raises(UnfitValueError, match=message):
        Table(",").success(0, "a", make())


def test_a_value_that_contains_itself_becomes_text() -> None:
    loop: list[Any] = []
    loop.append(loop)
    assert json.loads(to_json(loop)) == "[[...]]"


def test_json_lines() -> None:
    rows = JsonLines()
    assert json.loads(rows.success(0, "a", 1)) == {"index": 0, "name": "a", "value": 1}
    assert json.loads(rows.failure(1, failure('b"', "no\n"))) == {
        "index": 1,
        "name": 'b"',
        "error": "ValueError",
        "message": "no\n",
    }
    found = json.loads(rows.failure(2, failure("c", "no", "Traceback ...\n")))
    assert found["traceback"] == "Traceback ...\n"
    assert rows.end() == ""


def failure(name: str, message: str, traceback: str = "") -> Failure:
    return Failure(name, "ValueError", message, traceback, is_cancelled=False)


def table(text: str, delimiter: str = ",") -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))


def test_the_first_dict_gives_the_columns() -> None:
    rows = Table(",")
    text = rows.success(0, "a", {"gc": 0.5, "name": "x"}) + rows.success(1, "b", {"name": None})
    text += rows.failure(2, failure("c", "no")) + rows.end()
    assert table(text) == [
        ["index", "name", "gc", "value.name", "error", "message"],
        ["0", "a", "0.5", "x", "", ""],
        ["1", "b", "", "", "", ""],
        ["2", "c", "", "", "ValueError", "no"],
    ]


def test_without_quoting_only_tabs_and_line_ends_are_changed() -> None:
    rows = Table("\t", quoting=False)
    text = rows.success(0, "a", '"x\ty", \\z\r\n2') + rows.success(1, "b", [1, {"k": 2}])
    text += rows.failure(2, failure("c", 'no "such"\nthing'))
    assert [line.split("\t") for line in text.splitlines()] == [
        ["index", "name", "value", "error", "message"],
        ["0", "a", '"x\\ty", \\z\\r\\n2', "", ""],
        ["1", "b", '[1, {"k": 2}]', "", ""],
        ["2", "c", "", "ValueError", 'no "such"\\nthing'],
    ]


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        (np.datetime64("2020-01-02"), "2020-01-02"),
        (np.datetime64("2020-01-02T03:04:05.123456789"), "2020-01-02T03:04:05.123456789"),
        (np.datetime64("NaT", "s"), ""),
        (np.timedelta64(5, "D"), "5 days"),
        (np.complex64(1 + 2j), "(1+2j)"),
        (np.float32(0.5), "0.5"),
        (np.array(3), "3"),
        (
            np.array(["2020-01-02", "NaT"], dtype="M8[ns]"),
            '["2020-01-02T00:00:00.000000000", null]',
        ),
        (1 + 2j, "(1+2j)"),
        (decimal.Decimal("1.50"), "1.50"),
        (fractions.Fraction(1, 3), "1/3"),
        (datetime.timedelta(days=1), "1 day, 0:00:00"),
        (datetime.datetime(2020, 1, 2, 3), "2020-01-02T03:00:00"),
        (Stamp.AT, "2020-01-02"),
    ],
)
def test_a_single_value_has_no_quotes_of_json_in_its_cell(value: object, cell: str) -> None:
    assert table(Table(",").success(0, "a", {"x": value}))[1][2] == cell


@pytest.mark.parametrize("delimiter", [",", "\t"])
def test_other_values_have_one_column_and_odd_text_is_quoted(delimiter: str) -> None:
    rows = Table(delimiter)
    text = rows.success(0, "a", 'x\ty,"z"\r\n2') + rows.success(1, "b", [1, {"k": 2}])
    text += rows.success(2, "c", Scalar()) + rows.success(3, "d", None)
    assert [row[2] for row in table(text, delimiter)] == [
        "value",
        'x\ty,"z"\r\n2',
        '[1, {"k": 2}]',
        "2.5",
        "",
    ]


def test_a_dataclass_gives_columns_too() -> None:
    assert table(Table(",").success(0, "a", Point(1, {"t"})))[0][2:4] == ["x", "tags"]


def test_failures_before_the_first_success_wait_for_the_columns() -> None:
    rows = Table(",")
    assert rows.failure(0, failure("a", "no")) == ""
    assert [row[0] for row in table(rows.success(1, "b", {"gc": 1}))] == ["index", "0", "1"]


def test_but_not_for_ever() -> None:
    rows = Table(",")
    text = "".join(rows.failure(index, failure("a", "no")) for index in range(1001))
    text += rows.success(1001, "b", {"gc": 1})
    assert table(text)[0][2] == "value"
    assert table(text)[-1][2] == '{"gc": 1}'
    assert len(table(text)) == 1003


def test_without_any_result_there_is_still_a_header() -> None:
    assert table(Table(",").end()) == [["index", "name", "value", "error", "message"]]


@pytest.mark.parametrize(
    ("value", "message"), [({"gc": 1, "at": 2}, "the key 'at'"), (3, "the result is int")]
)
def test_a_value_that_does_not_fit_the_columns_is_refused(value: object, message: str) -> None:
    rows = Table(",")
    rows.success(0, "a", {"gc": 1})
    with pytest.raises(UnfitValueError, match=message):
        rows.success(1, "b", value)


class Full:
    def fileno(self) -> int:
        raise NotImplementedError

    def write(self, _: memoryview, /) -> int:
        raise OSError(28, "No space left on device")


def test_output_writes_when_it_is_told_to_or_has_much(tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb", buffering=0) as file:
        output = RowWriter(file)
        output.write("é\udc80\n")
        assert (tmp_path / "out").read_bytes() == b""
        output.flush()
        assert (tmp_path / "out").read_bytes() == "é\\udc80\n".encode()
        output.write("x" * 65536)
        assert (tmp_path / "out").stat().st_size > 65536


def test_an_error_in_writing_is_not_forgotten() -> None:
    output = RowWriter(Full())
    output.write("a\n")
    for _ in range(2):
        with pytest.raises(OSError, match="No space"):
            output.flush()
    with pytest.raises(OSError, match="No space"):
        output.write("b\n")


def test_a_file_may_take_what_it_likes() -> None:
    class Slow(io.BytesIO):
        def write(self, data: Any, /) -> int:
            return super().write(data[:3])

    slow = Slow()
    output = RowWriter(slow)
    output.write("1234567\n")
    output.flush()
    assert slow.getvalue() == b"1234567\n"


def test_a_pipe_that_does_not_block_is_waited_for() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    line = "x" * 99 + "\n"
    received = bytearray()
    with open(writer, "wb", buffering=0) as file:
        drain = threading.Thread(target=lambda: _drain(reader, received))
        drain.start()
        output = RowWriter(file)
        for _ in range(5000):
            output.write(line)
        output.flush()
    drain.join()
    assert received.decode() == line * 5000


def _drain(reader: int, received: bytearray) -> None:
    with open(reader, "rb") as file:
        while part := file.read(8192):
            received += part
