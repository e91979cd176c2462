"""Outcomes for other programs, as JSON Lines, CSV or Parquet."""

from __future__ import annotations

import contextlib
import csv
import io
import os
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any, BinaryIO, Literal, TextIO, get_args

from ..whole_file import whole_file
from .config import Checkpoint
from .entries import Entries, Entry
from .errors import CheckpointWarning
from .plain import encodable, plain, to_json
from .rows import COLUMNS, COLUMNS_OF_FAILURES, rows

Format = Literal["jsonl", "csv", "parquet"]

_ENDINGS: dict[str, Format] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".parquet": "parquet",
}


def export(
    checkpoint: Checkpoint,
    target: str | os.PathLike[str] | TextIO,
    chosen: Format | None,
    *,
    failures: bool,
    allow_pickle: bool,
    skip_damaged: bool,
) -> int:
    """Write all outcomes, or only the failures, and return how many there were."""
    options = {"failures": failures, "allow_pickle": allow_pickle, "skip_damaged": skip_damaged}
    columns = COLUMNS_OF_FAILURES if failures else COLUMNS
    if not isinstance(target, (str, os.PathLike)):
        write_text = _text_format(_format_of_file(target, chosen))
        with Entries(checkpoint, **options) as entries:
            count = write_text(target, entries, columns)
        _tell_of_damage(checkpoint, entries)
        return count
    path = os.fspath(target)
    write = _binary_format(_format_of_path(path, chosen))
    _refuse_overwriting(checkpoint.path, path)
    with Entries(checkpoint, **options) as entries, whole_file(path) as file:
        count = write(file, entries, columns)
    _tell_of_damage(checkpoint, entries)
    return count


def _tell_of_damage(checkpoint: Checkpoint, entries: Entries) -> None:
    if not (left_out := sorted(entries.left_out)):
        return
    more = f" and {len(left_out) - 1} more like it" if len(left_out) > 1 else ""
    text = f"not all of {checkpoint.path} was exported: {left_out[0]}{more}"
    warnings.warn(text, CheckpointWarning, stacklevel=4)


def _format_of_path(path: str, chosen: Format | None) -> Format:
    if chosen is not None:
        return _known(chosen)
    ending = os.path.splitext(path)[1].lower()
    if ending not in _ENDINGS:
        raise ValueError(
            f"export: target={path!r} must end in .jsonl, .csv or .parquet; or pass format="
        )
    return _ENDINGS[ending]


def _format_of_file(file: TextIO, chosen: Format | None) -> Format:
    try:
        file.write("")
    except (AttributeError, TypeError):
        raise TypeError(
            f"export: target={file!r} must be a path, or a file that is open for writing text"
        ) from None
    if chosen is None:
        raise ValueError("export: format=None must be 'jsonl' or 'csv' when target is an open file")
    if _known(chosen) == "parquet":
        raise ValueError("export: format='parquet' is no text; pass a path as target")
    return chosen


def _known(chosen: Format) -> Format:
    if chosen not in get_args(Format):
        raise ValueError(f"export: format={chosen!r} must be 'jsonl', 'csv' or 'parquet'")
    return chosen


def _refuse_overwriting(checkpoint: str, path: str) -> None:
    for own in (checkpoint, f"{checkpoint}-wal", f"{checkpoint}.lock"):
        with contextlib.suppress(OSError):
            if os.path.samefile(own, path):
                raise ValueError(
                    f"export: target={path!r} is the checkpoint, or belongs to it; choose another"
                )


_TextFormat = Callable[[TextIO, Iterable[Entry], Sequence[str]], int]
_BinaryFormat = Callable[[BinaryIO, Entries, Sequence[str]], int]


def _text_format(name: Format) -> _TextFormat:
    return _csv if name == "csv" else _json_lines


def _binary_format(name: Format) -> _BinaryFormat:
    if name == "parquet":
        from . import parquet

        parquet.require()
        return parquet.write
    write_text = _text_format(name)

    def write(file: BinaryIO, entries: Entries, columns: Sequence[str]) -> int:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        count = write_text(text, entries, columns)
        text.detach()  # which flushes it
        return count

    return write


def _json_lines(file: TextIO, entries: Iterable[Entry], columns: Sequence[str]) -> int:
    count = 0
    for row in rows(entries, columns):
        file.write(to_json(row) + "\n")
        count += 1
    return count


def _csv(file: TextIO, entries: Iterable[Entry], columns: Sequence[str]) -> int:
    count = 0
    table = csv.writer(file)  # with \r\n, else a \r within a cell would not be quoted
    table.writerow(columns)
    for row in rows(entries, columns):
        table.writerow([_cell(each) for each in row.values()])
        count += 1
    return count


def _cell(value: Any) -> str:
    if value is None:
        return ""
    value = plain(value)
    if isinstance(value, str):
        return encodable(value)
    return str(value) if isinstance(value, (bool, float)) else to_json(value)
