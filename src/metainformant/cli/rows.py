"""Results as lines of text: JSON Lines, CSV and TSV."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from .columns import FIXED, Columns, Row, input_column
from .failures import Failure
from .values import to_json

_ESCAPES = str.maketrans({"\t": "\\t", "\n": "\\n", "\r": "\\r"})

T_co = TypeVar("T_co", covariant=True)


class Rows(Protocol[T_co]):
    """A format of output, whose methods return what is to be written: whole rows, or none for now.

    These are lines of text, or lists of cells for formats that are not text.
    """

    # `kept` has the columns of the input that the row has too.

    def success(self, index: int, name: str, value: Any, kept: Sequence[Any] = ()) -> T_co: ...

    def failure(self, index: int, failure: Failure, kept: Sequence[Any] = ()) -> T_co: ...

    def end(self) -> T_co: ...


class JsonLines:
    """One object per line: index and name, and then value, or error, message and traceback.

    Args:
        keep: the columns of the input that come after the name.
    """

    def __init__(self, keep: Sequence[str] = ()) -> None:
        self._keep = [input_column(name, (*FIXED, "value", "traceback")) for name in keep]

    def success(self, index: int, name: str, value: Any, kept: Sequence[Any] = ()) -> str:
        between = "".join(
            f"{to_json(column)}: {to_json(cell)}, "
            for column, cell in zip(self._keep, kept, strict=False)
        )
        return (
            f'{{"index": {index}, "name": {to_json(name)}, {between}"value": {to_json(value)}}}\n'
        )

    def failure(self, index: int, failure: Failure, kept: Sequence[Any] = ()) -> str:
        fields: dict[str, Any] = {"index": index, "name": failure.name}
        fields |= zip(self._keep, kept, strict=False)
        if failure.value is not None:
            fields["value"] = failure.value
        fields |= {"error": failure.error, "message": failure.message}
        if failure.traceback:
            fields["traceback"] = failure.traceback
        return to_json(fields) + "\n"

    def end(self) -> str:
        return ""


class Table:
    """A header and rows of text; see `Columns` for what they have.

    Args:
        delimiter: what stands between two cells.
        quoting: whether cells that hold it, quotes or line ends stand in quotes. Otherwise all text
            is written as it is, except tabs and line ends, which become escapes.
        keep: the columns of the input that come after the name.
    """

    def __init__(self, delimiter: str, *, quoting: bool = True, keep: Sequence[str] = ()) -> None:
        self._columns = Columns(keep)
        self._lines: list[str] = []
        self._delimiter = delimiter
        writer = csv.writer(self, delimiter=delimiter, lineterminator="\n")
        self._write_row: Callable[[Sequence[Any]], object] = (
            writer.writerow if quoting else self._write_unquoted
        )

    def write(self, line: str) -> None:
        """Take a line from the csv module."""
        self._lines.append(line)

    def success(self, index: int, name: str, value: Any, kept: Sequence[Any] = ()) -> str:
        return self._text(self._columns.success(index, name, value, kept))

    def failure(self, index: int, failure: Failure, kept: Sequence[Any] = ()) -> str:
        return self._text(self._columns.failure(index, failure, kept))

    def end(self) -> str:
        return self._text(self._columns.end())

    def _text(self, rows: list[Row]) -> str:
        for row in rows:
            self._write_row(row)
        text = "".join(self._lines)
        self._lines.clear()
        return text

    def _write_unquoted(self, cells: Sequence[Any]) -> None:
        texts = list(map(str, cells))
        row = self._delimiter.join(texts)
        if row.count(self._delimiter) >= len(texts) or "\n" in row or "\r" in row:
            row = self._delimiter.join(text.translate(_ESCAPES) for text in texts)
        self._lines.append(f"{row}\n")
