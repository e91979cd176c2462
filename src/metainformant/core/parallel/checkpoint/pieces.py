"""One piece on its way into the file: outcomes of one worker, with the keys of their items."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePath
from typing import Any, NamedTuple

from ..describe import describe
from . import codec
from .failures import Failure, encode_failures, record_failure
from .keys import Key

_MAX_ITEM = 60


class Record(NamedTuple):
    """Outcomes to be recorded: one key, item and value per outcome, at the same position.

    Attributes:
        keys: see keys.py.
        items: the items, for those who read the file.
        values: what the function returned; anything where it failed.
        failed: the exceptions, by position.
        attempts: how many attempts each item had.
        worker: name of the worker that ran them.
        times: when each was started, and when the last one ended, in seconds since the epoch; may
            be empty.
    """

    keys: Sequence[Key]
    items: Sequence[Any]
    values: list[Any]
    failed: dict[int, BaseException]
    attempts: int = 1
    worker: str = ""
    times: Sequence[float] = ()


class Row(NamedTuple):
    """The columns of a piece, in the order of its table, without `id` and `session`."""

    total: int
    failed: int
    pickled: int
    attempts: int
    worker: str
    recorded: float
    checksum: bytes
    keys: bytes | str
    failed_at: str | None
    failures: str | None
    times: bytes | None
    items: str | None
    results: bytes | str

    @property
    def size(self) -> int:
        """About how many bytes it takes in the file."""
        columns = self.keys, self.failures, self.times, self.items, self.results
        return 200 + sum(len(column) for column in columns if column is not None)


def encode(record: Record, unpicklable: Callable[[int, Exception], BaseException]) -> Row:
    """Return the row of a record.

    A value that can't be pickled becomes a failure of its own item, in the record too, since what
    is delivered is what is recorded; `unpicklable` makes the exception.
    """
    values, failed = record.values, record.failed

    def refuse(position: int, error: Exception) -> None:
        failed[position] = values[position] = unpicklable(position, error)

    storable = values
    if failed:
        storable = [None if at in failed else value for at, value in enumerate(values)]
    results, pickled = codec.encode_results(storable, refuse)
    failures = {at: record_failure(error, record.items[at]) for at, error in failed.items()}
    return _row(record, codec.encode_keys(record.keys), failures, results, pickled)


def _row(
    record: Record,
    keys: bytes | str,
    failures: Mapping[int, Failure],
    results: bytes | str,
    pickled: int,
) -> Row:
    row = Row(
        len(record.keys),
        len(failures),
        pickled,
        record.attempts,
        record.worker,
        time.time(),
        b"",
        keys,
        codec.to_json(list(failures)) if failures else None,
        encode_failures(failures),
        codec.encode_times(record.times),
        _shown(record, keys),
        results,
    )
    return row._replace(checksum=_head_sum(row) + _rest_sum(row))


def is_head_intact(checksum: bytes, total: int, keys: bytes | str, failed_at: str | None) -> bool:
    """Return whether the columns that a resume reads at first are what was written."""
    return checksum[:8] == codec.checksum((total, keys, failed_at))


def is_intact(row: Row) -> bool:
    return row.checksum == _head_sum(row) + _rest_sum(row)


def _head_sum(row: Row) -> bytes:
    return codec.checksum((row.total, row.keys, row.failed_at))


def _rest_sum(row: Row) -> bytes:
    return codec.checksum(
        (
            row.failed,
            row.pickled,
            row.attempts,
            row.worker,
            row.recorded,
            row.failures,
            row.times,
            row.items,
            row.results,
        )
    )


def _shown(record: Record, keys: bytes | str) -> str | None:
    """Items as short texts, unless the keys can be read themselves."""
    if isinstance(keys, str) and "[" not in keys[1:]:  # each is a number or a string
        return None
    with contextlib.suppress(TypeError, ValueError):
        # What JSON has a form for is quickly shown, unless it is too long.
        if set(map(type, record.items)) == {str} and max(map(len, record.items)) > _MAX_ITEM:
            raise ValueError
        text = codec.to_json(record.items)
        if len(text) <= (_MAX_ITEM + 10) * len(record.items):
            return text
    return codec.to_json([_short(item) for item in record.items])


def _short(item: Any) -> str:
    if isinstance(item, PurePath):
        item = str(item)
    if type(item) is str:
        return item if len(item) <= _MAX_ITEM else f"{item[: _MAX_ITEM - 3]}..."
    return describe(item)
