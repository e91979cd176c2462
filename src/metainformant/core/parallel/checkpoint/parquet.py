"""Outcomes as a Parquet file, by pyarrow."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, BinaryIO

from .entries import Entries
from .plain import encodable, plain, to_json
from .rows import rows

# A row group is in memory as a whole: how many rows it has at most, and how many bytes of text
# about. Picked by feel: smaller groups compress worse.
_MAX_ROWS = 1 << 16
_MAX_BYTES = 16 << 20

# Types of the columns; all others are text.
_TYPES = {"attempts": "int64", "started": "float64", "seconds": "float64", "recorded": "float64"}
# Types of the column of values, if all are of one kind; else they are written as JSON.
_KINDS = {bool: "bool", int: "int64", float: "float64", str: "string", bytes: "binary"}
_JSON = "json"
_INT64 = range(-(1 << 63), 1 << 63)
# Integers that a float64 holds exactly.
_EXACT = range(-(1 << 53), (1 << 53) + 1)


def require() -> None:
    """Raise ModuleNotFoundError, with what to do, if pyarrow is not there."""
    try:
        importlib.import_module("pyarrow.parquet")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "export: format='parquet' needs pyarrow, which is not installed; "
            "run: pip install pyarrow",
            name=error.name,
        ) from None


def write(file: BinaryIO, entries: Entries, columns: Sequence[str]) -> int:
    """Write the file in row groups, and return how many rows there were.

    The entries are read twice: first for the type of the values.
    """
    pyarrow: Any = importlib.import_module("pyarrow")
    parquet: Any = importlib.import_module("pyarrow.parquet")
    types = {name: _TYPES.get(name, "string") for name in columns}
    convert: Callable[[Any], Any] = _as_json
    if "value" in types:
        kind = _type_of(row["value"] for row in rows(entries, ["value"]))
        if kind != _JSON:
            types["value"], convert = kind, _scalar
    schema = pyarrow.schema([(name, pyarrow.type_for_alias(kind)) for name, kind in types.items()])
    count = 0
    with parquet.ParquetWriter(file, schema) as writer:
        for group in _groups(rows(entries, columns), convert):
            writer.write_table(pyarrow.Table.from_pylist(group, schema))
            count += len(group)
    return count


def _type_of(values: Iterable[Any]) -> str:
    """Return the type that a column of these values has."""
    kinds: set[type] = set()
    is_exact = True
    for value in values:
        scalar = _scalar(value)
        if scalar is None:
            continue
        kind = type(scalar)
        if kind not in _KINDS or (kind is int and scalar not in _INT64):
            return _JSON
        kinds.add(kind)
        is_exact = is_exact and (kind is not int or scalar in _EXACT)
    if kinds == {int, float} and is_exact:
        return "float64"
    if len(kinds) > 1:
        return _JSON
    return _KINDS[kinds.pop()] if kinds else "string"


def _scalar(value: Any) -> Any:
    """Return a plain scalar for one of NumPy's or of a subclass."""
    if value is None or type(value) in _KINDS:
        return value
    value = plain(value)
    for kind in (int, float, str):
        if isinstance(value, kind) and type(value) not in _KINDS:
            return kind(value)
    return value


def _as_json(value: Any) -> str | None:
    return None if value is None else to_json(value)


def _groups(
    table: Iterable[dict[str, Any]], convert: Callable[[Any], Any]
) -> Iterator[list[dict[str, Any]]]:
    """Yield lists of rows with their values converted, none of them large."""
    group: list[dict[str, Any]] = []
    size = 0
    for row in table:
        if "value" in row:
            row["value"] = convert(row["value"])
        for name, cell in row.items():
            if isinstance(cell, str):
                row[name] = encodable(cell)
            if isinstance(cell, (str, bytes)):
                size += len(cell)
        group.append(row)
        if len(group) == _MAX_ROWS or size >= _MAX_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group
