"""Results as a Parquet file, by pyarrow."""

from __future__ import annotations

import errno
import importlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from io import FileIO
from typing import Any, NamedTuple

import click

from .columns import FIXED, Columns, Row, in_a_cell
from .failures import Failure
from .values import UnfitValueError, scalar

# A row group is in memory as a whole: how many rows it has at most, and how many characters of
# text about.
_MAX_ROWS = 1 << 15
_MAX_CHARACTERS = 16 << 20

_TYPES: dict[type, str] = {
    bool: "bool",
    int: "int64",
    float: "float64",
    str: "string",
    bytes: "binary",
}
_INT64 = range(-(1 << 63), 1 << 63)


class Column(NamedTuple):
    """A column and the type of its cells, which may be None as well."""

    name: str
    kind: type


class ParquetRows:
    """Rows for a Parquet file: the columns of CSV, with cells of one type in each.

    The rows of the first row group settle the types, and are held back until then. In a column of
    text, every later value becomes text; in any other, a value that does not fit is refused.

    Args:
        keep: the columns of the input that come after the name.

    Raises:
        click.UsageError: if pyarrow is not there.
    """

    def __init__(self, keep: Sequence[str] = ()) -> None:
        try:
            importlib.import_module("pyarrow.parquet")
        except ModuleNotFoundError:
            raise click.UsageError(
                "parquet needs pyarrow, which is not installed; run: pip install pyarrow"
            ) from None
        self._rows = Columns(keep, scalar, None)
        self._first: list[Row] = []
        self._size = 0
        self._columns: list[Column] = []  # none: the types are not settled

    def success(self, index: int, name: str, value: Any, kept: Sequence[Any] = ()) -> list[Row]:
        rows = self._rows.success(index, name, value, kept)
        if not self._columns:
            return self._hold(rows)
        return [list(map(_fitted, self._columns, row)) for row in rows]

    def failure(self, index: int, failure: Failure, kept: Sequence[Any] = ()) -> list[Row]:
        rows = self._rows.failure(index, failure, kept)
        if not self._columns:
            return self._hold(rows)
        return [list(map(_fitted_or_none, self._columns, row)) for row in rows]

    def end(self) -> list[Row]:
        rows = self._rows.end()
        if self._columns:
            return rows
        self._first += rows
        return self._settle()

    def _hold(self, rows: list[Row]) -> list[Row]:
        self._first += rows
        self._size += _size(rows)
        is_group = len(self._first) > _MAX_ROWS or self._size >= _MAX_CHARACTERS
        return self._settle() if is_group else []

    def _settle(self) -> list[Row]:
        names, *rows = self._first
        self._first = []
        self._columns = [
            Column(str(scalar(name)), _kind_of(name, (row[position] for row in rows)))
            for position, name in enumerate(names)
        ]
        return [list(self._columns), *(list(map(_fitted, self._columns, row)) for row in rows)]


class ParquetFile:
    """A Parquet file, written in row groups. It can't be read before its end is written.

    Args:
        file: the empty file that becomes one.
    """

    def __init__(self, file: FileIO) -> None:
        self._path = str(file.name)
        self._writer: Any = None
        self._schema: Any = None
        self._group: list[Row] = []
        self._size = 0
        self.is_readable: bool = False

    def write(self, rows: list[Row], /) -> None:
        """Add rows; the first of all has the columns."""
        if self._writer is None:
            columns, *rows = rows
            self._begin(columns)
        for row in rows:
            self._group.append(row)
            self._size += _size([row])
            if len(self._group) == _MAX_ROWS or self._size >= _MAX_CHARACTERS:
                self._write_group()

    def finish(self, *, whole: bool) -> None:
        """Write the last row group and the end, whether the run is `whole` or not."""
        if self._writer is None:
            return
        if self._group:
            self._write_group()
        with _as_os_error():
            self._writer.close()
        self.is_readable = True

    def _begin(self, columns: list[Column]) -> None:
        pyarrow: Any = importlib.import_module("pyarrow")
        parquet: Any = importlib.import_module("pyarrow.parquet")
        fields = [(name, pyarrow.type_for_alias(_TYPES[kind])) for name, kind in columns]
        with _as_os_error():
            self._schema = pyarrow.schema(fields)
            self._writer = parquet.ParquetWriter(self._path, self._schema)

    def _write_group(self) -> None:
        pyarrow: Any = importlib.import_module("pyarrow")
        with _as_os_error():
            columns = zip(*self._group, strict=True)
            types = (field.type for field in self._schema)
            arrays = [
                pyarrow.array(cells, kind) for cells, kind in zip(columns, types, strict=True)
            ]
            self._writer.write_table(pyarrow.Table.from_arrays(arrays, schema=self._schema))
        self._group, self._size = [], 0


def _kind_of(name: str, cells: Iterable[Any]) -> type:
    """Return the type of a column: that of its values if they have one, else text."""
    if name in FIXED:
        return str if name != "index" else int
    kinds = {type(cell) if type(cell) is not int or cell in _INT64 else str for cell in cells}
    kinds.discard(type(None))
    if kinds == {int, float}:
        return float
    return kinds.pop() if len(kinds) == 1 else str


def _fitted(column: Column, cell: Any) -> Any:
    kind = column.kind
    if cell is None:
        return None
    if type(cell) is kind and (kind is not int or cell in _INT64):
        return cell
    if kind is str:
        return scalar(in_a_cell(cell))
    if kind is float and type(cell) is int and cell in _INT64:
        return float(cell)
    raise UnfitValueError(
        f"{column.name} is {type(cell).__name__}, but the first {_MAX_ROWS:,} rows have made it a "
        f"column of {_TYPES[kind]}; return the same kind for every record, or write JSON Lines"
    )


def _fitted_or_none(column: Column, cell: Any) -> Any:
    try:
        return _fitted(column, cell)
    except UnfitValueError:  # of an input column, in a row that has failed already
        return None


def _size(rows: list[Row]) -> int:
    return sum(len(cell) for row in rows for cell in row if isinstance(cell, (str, bytes)))


@contextmanager
def _as_os_error() -> Iterator[None]:
    """Raise what pyarrow says as the error of a file that can't be written."""
    arrow_error: Any = importlib.import_module("pyarrow").ArrowException
    try:
        yield
    except (OSError, arrow_error) as error:
        number = getattr(error, "errno", None) or errno.EIO
        raise OSError(number, getattr(error, "strerror", None) or str(error)) from error
