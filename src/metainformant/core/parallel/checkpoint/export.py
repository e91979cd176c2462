"""Outcomes as JSON Lines or CSV, for other programs."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TextIO

from .config import Checkpoint
from .entries import Entries, Entry

_COLUMNS = (
    "run",
    "version",
    "item",
    "value",
    "error",
    "message",
    "attempts",
    "started",
    "seconds",
    "worker",
    "recorded",
)


def export(checkpoint: Checkpoint, path: str, *, allow_pickle: bool) -> int:
    """Write all outcomes to `path`, and return how many there were."""
    write = _writer(path)
    # Beside its place, so that renaming it is one step: what is there is always complete.
    folder, name = os.path.split(os.path.abspath(path))
    descriptor, temporary = tempfile.mkstemp(prefix=f".{name}.", dir=folder)
    try:
        with (
            open(descriptor, "w", encoding="utf-8", newline="") as file,
            Entries(checkpoint, allow_pickle=allow_pickle) as entries,
        ):
            count = write(file, entries)
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    return count


def _writer(path: str) -> Callable[[TextIO, Iterable[Entry]], int]:
    ending = os.path.splitext(path)[1].lower()
    if ending in (".jsonl", ".ndjson"):
        return _json_lines
    if ending == ".csv":
        return _csv
    raise ValueError(f"export: path={path!r} must end in .jsonl or .csv")


def _rows(entries: Iterable[Entry]) -> Iterator[dict[str, Any]]:
    for entry in entries:
        row = {name: getattr(entry, name) for name in _COLUMNS if name in Entry._fields}
        failure = entry.failure
        row["error"] = failure.kind if failure else None
        row["message"] = failure.message if failure else None
        if entry.pickled:
            row["value"] = "<pickled>"
        yield {name: row[name] for name in _COLUMNS}


def _json_lines(file: TextIO, entries: Iterable[Entry]) -> int:
    count = 0
    for row in _rows(entries):
        file.write(json.dumps(row, default=_text, ensure_ascii=False) + "\n")
        count += 1
    return count


def _csv(file: TextIO, entries: Iterable[Entry]) -> int:
    count = 0
    table = csv.writer(file)
    table.writerow(_COLUMNS)
    for row in _rows(entries):
        value = row["value"]
        if value is not None and not isinstance(value, (str, int, float)):
            row["value"] = json.dumps(value, default=_text, ensure_ascii=False)
        table.writerow(row.values())
        count += 1
    return count


def _text(value: Any) -> Any:
    """What JSON has no form for: bytes as text if they are, everything else as its repr."""
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return value.hex()
    return repr(value)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
