"""Results and failures as rows of cells below the names of their columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .failures import Failure
from .values import UnfitValueError, plain, to_json

# How many failures are held back while no result has shown yet which columns there are.
_HELD = 1000
FIXED = ("index", "name", "error", "message")

Row = list[Any]


def input_column(name: str, taken: Sequence[str]) -> str:
    """Return the name that a column of the input has among those of a row."""
    return f"input.{name}" if name in taken else name


def in_a_cell(value: Any) -> str:
    """Return a value as a text: itself, or JSON; nothing for None."""
    value = plain(value)
    if value is None:
        return ""
    return str(value) if isinstance(value, (str, bool, int, float)) else to_json(value)


class Columns:
    """Rows whose columns are settled by the first result. The first row has their names.

    If that result is a dict, its keys are the columns, and every later result must be a dict with
    no further keys. Otherwise there is one column, `value`. Up to 1000 failures before the first
    result are held back; if there are more, the column is `value`.

    Args:
        keep: the columns of the input that come after the name.
        cell: returns what stands in a cell for a value.
        blank: what stands in a cell without a value.
    """

    def __init__(
        self,
        keep: Sequence[str] = (),
        cell: Callable[[Any], Any] = in_a_cell,
        blank: Any = "",
    ) -> None:
        self._keep = [input_column(name, FIXED) for name in keep]
        self._cell = cell
        self._blank = blank
        self._rows: list[Row] = []
        self._settled = False
        self._keys: list[Any] | None = None  # None: there is the one column, `value`
        self._held: list[tuple[int, Failure, Sequence[Any]]] = []

    def success(self, index: int, name: str, value: Any, kept: Sequence[Any] = ()) -> list[Row]:
        if not isinstance(value, (bytes, bytearray, memoryview)):  # which some cells can hold
            value = plain(value)
        if not self._settled:
            self._settle(value)
        cell, blank = self._cell, self._blank
        cells = [*map(cell, kept), *self._cells(value)]
        self._rows.append([index, cell(name), *cells, blank, blank])
        return self._take()

    def failure(self, index: int, failure: Failure, kept: Sequence[Any] = ()) -> list[Row]:
        if failure.value is not None and not self._settled:
            self._settle(plain(failure.value))
        self._held.append((index, failure, kept))
        if self._settled:
            self._release()
        elif len(self._held) > _HELD:
            self._settle(None)
        return self._take()

    def end(self) -> list[Row]:
        if not self._settled:
            self._settle(None)
        return self._take()

    def _settle(self, value: Any) -> None:
        """Settle the columns by the first value; None if there is none."""
        keys = list(value) if isinstance(value, dict) and value else None
        self._settled, self._keys = True, keys
        names = ["value"] if keys is None else map(str, keys)
        taken = (*FIXED, *self._keep)
        columns = [f"value.{name}" if name in taken else name for name in names]
        self._rows.append(["index", "name", *self._keep, *columns, "error", "message"])
        self._release()

    def _release(self) -> None:
        cell = self._cell
        blanks = [self._blank] * (1 if self._keys is None else len(self._keys))
        for index, failure, kept in self._held:
            value = failure.value
            cells = blanks if value is None else self._cells(plain(value))
            told = [cell(failure.error), cell(failure.message)]
            self._rows.append([index, cell(failure.name), *map(cell, kept), *cells, *told])
        self._held.clear()

    def _cells(self, value: Any) -> list[Any]:
        if self._keys is None:
            return [self._cell(value)]
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
        return [self._cell(value.get(key)) for key in self._keys]

    def _take(self) -> list[Row]:
        rows, self._rows = self._rows, []
        return rows
