"""Outcomes as rows of a table, whatever the format."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from .entries import Entry

COLUMNS = (
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
# Failures have no value, but a traceback.
COLUMNS_OF_FAILURES = (*COLUMNS[:3], *COLUMNS[4:6], "traceback", *COLUMNS[6:])


def rows(entries: Iterable[Entry], columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield a dict of the columns for each outcome; values that are not loaded are "<pickled>"."""
    for entry in entries:
        failure = entry.failure
        row = entry._asdict()
        row["error"] = failure.kind if failure else None
        row["message"] = failure.message if failure else None
        row["traceback"] = failure.traceback if failure else None
        if entry.pickled:
            row["value"] = "<pickled>"
        yield {name: row[name] for name in columns}
