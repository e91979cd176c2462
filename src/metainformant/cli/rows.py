"""Results as lines of text: JSON Lines, CSV and TSV."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from .failures import Failure
from .values import UnfitValueError, plain, to_json

# How many failures are held back while no result has shown yet which columns there are.
_HELD = 1000
_ESCAPES = str.maketrans({"\t": "\\t", "\n": "\\n", "\r": "\\r"})
_FIXED = ("index", "name", "error", "message")


class Rows(Protocol):
    """A format of output, whose methods return whole lines, or nothing for now."""

    # `kept` has the columns of the input that the row has too.

    def success(self, index: int, name: str, value: Any, kept: Sequence[Any] = ()) -> str: ...

    def failure(self, index: int, failure: Failure, kept: Sequence[Any] = ()) -> str: ...

    def end(self) -> str: ...


class JsonLines:
    """One object per line: index and name, and then value, or error, message and traceback.

    Args:
        keep: the columns of the input that come after the name.
    """

    def __init__(self, keep: Sequence[str] = ()) -> None:
        self._keep = [input_column(name, (*_FIXED, "value", "traceback")) for name in keep]

    def success(self, index: int, name: str, value: Any, kept: Sequence[Any] = ()) -> str:
        between = "".join(
            f"{to_json(column)}: {to_json(cell)}, "
            for column, cell in zip(self._keep, kept, strict=False)
        )
        return (
            f'{{"index": {index}, "name": {to_json(name)}, {between}"value": {to_json(value)}}}\n'
        )

    def failure(self, index: int, failure: Failure, kept: Sequence[Any] = ()) -> str:
        name, error, message, traceback, _ = failure
        fields: dict[str, Any] = {"index": index, "name": name}
        fields |= zip(self._keep, kept, strict=False)
        fields |= {"error": error, "message": message}
        if traceback:
            fields["traceback"] = traceback
        return to_json(fields) + "\n"

    def end(self) -> str:
        return ""


class Table:
    """A header and rows; the columns are settled by the first result.

    If that is a dict, its keys are the columns, and every later result must be a dict with no
    further keys. Otherwise there is one column, `value`. Up to 1000 failures before the first
    result are held back; if there are more, the column is `value`.

    Args:
        delimiter: what stands between two cells.
        quoting: whether cells that hold it, quotes or line ends stand in quotes. Otherwise all text
            is written as it is, except tabs and line ends, which become escapes.
        keep: the columns of the input that come after the name.
    """

    def __init__(self, delimiter: str, *, quoting: bool = True, keep: Sequence[str] = ()) -> None:
        self._keep = [input_column(name, _FIXED) for name in keep]
        self._lines: list[str] = []
        self._delimiter = delimiter
        writer = csv.writer(self, delimiter=delimiter, lineterminator="\n")
        self._write_row: Callable[[Sequence[Any]], object] = (
            writer.writerow if quoting else self._write_unquoted
        )
        self._settled = False
        self._keys: list[Any] | None = None  # None: there is the one column, `value`
        self._held: list[tuple[int, Failure, Sequence[Any]]] = []

    def write(self, line: str) -> None:
        """Take a line from the csv module."""
        self._lines.append(line)

    def success(self, index: int, name: str, value: Any, kept: Sequence[Any] = ()) -> str:
        value = plain(value)
        if not self._settled:
            self._settle(list(value) if isinstance(value, dict) and value else None)
        self._write_row([index, name, *map(in_a_cell, kept), *self._cells(value), "", ""])
        return self._take()

    def failure(self, index: int, failure: Failure, kept: Sequence[Any] = ()) -> str:
        self._held.append((index, failure, kept))
        if self._settled:
            self._release()
        elif len(self._held) > _HELD:
            self._settle(None)
        return self._take()

    def end(self) -> str:
        if not self._settled:
            self._settle(None)
        return self._take()

    def _settle(self, keys: list[Any] | None) -> None:
        self._settled, self._keys = True, keys
        names = ["value"] if keys is None else map(str, keys)
        taken = (*_FIXED, *self._keep)
        columns = [f"value.{name}" if name in taken else name for name in names]
        self._write_row(["index", "name", *self._keep, *columns, "error", "message"])
        self._release()

    def _release(self) -> None:
        blank = [""] * (1 if self._keys is None else len(self._keys))
        for index, failure, kept in self._held:
            cells = [*map(in_a_cell, kept), *blank]
            self._write_row([index, failure.name, *cells, failure.error, failure.message])
        self._held.clear()

    def _cells(self, value: Any) -> list[str]:
        if self._keys is None:
            return [in_a_cell(value)]
        columns = ", ".join(map(str, self._keys))
        if not isinstance(value, dict):
            raise UnfitValueError(
                f"the result is {type(value).__name__}, but the first one was a dict with the "
                f"keys {columns}; return the same kind for every record, or write JSON Lines"
            )
        if unknown := [key for key in value if key not in self._keys]:
            raise UnfitValueError(
                f"the key {unknown[0]!r} is not among those of the first result ({columns}); "
                "return the same keys for every record, or write JSON Lines"
            )
        return [in_a_cell(value.get(key)) for key in self._keys]

    def _write_unquoted(self, cells: Sequence[Any]) -> None:
        texts = list(map(str, cells))
        row = self._delimiter.join(texts)
        if row.count(self._delimiter) >= len(texts) or "\n" in row or "\r" in row:
            row = self._delimiter.join(text.translate(_ESCAPES) for text in texts)
        self._lines.append(f"{row}\n")

    def _take(self) -> str:
        text = "".join(self._lines)
        self._lines.clear()
        return text


def input_column(name: str, taken: Sequence[str]) -> str:
    """Return the name that a column of the input has among those of a row."""
    return f"input.{name}" if name in taken else name


def in_a_cell(value: Any) -> str:
    """Return a value as a text: itself, or JSON; nothing for None."""
    value = plain(value)
    if value is None:
        return ""
    return str(value) if isinstance(value, (str, bool, int, float)) else to_json(value)
