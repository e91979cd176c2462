"""Results as a table in a SQLite database."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import Any

from .columns import FIXED, Columns, Row
from .failures import Failure
from .values import scalar

TABLE = "results"
_INT64 = range(-(1 << 63), 1 << 63)


class DatabaseRows:
    """Rows for a database: the columns of CSV, with cells that have types.

    Args:
        keep: the columns of the input that come after the name.
    """

    def __init__(self, keep: Sequence[str] = ()) -> None:
        self._columns = Columns(keep, _cell, None)

    def success(self, index: int, name: str, value: Any, kept: Sequence[Any] = ()) -> list[Row]:
        return self._columns.success(index, name, value, kept)

    def failure(self, index: int, failure: Failure, kept: Sequence[Any] = ()) -> list[Row]:
        return self._columns.failure(index, failure, kept)

    def end(self) -> list[Row]:
        return self._columns.end()


class DatabaseFile:
    """A database with the one table. Rows are committed with each write.

    Args:
        file: the empty file that becomes the database.
    """

    def __init__(self, file: FileIO) -> None:
        # The file has a name of its own and nobody else writes it, so SQLite needs no locks; it is
        # synchronized with the disk at the end.
        uri = f"{Path(str(file.name)).as_uri()}?mode=rw&nolock=1"
        with _as_os_error():
            self._database = sqlite3.connect(
                uri, uri=True, isolation_level=None, check_same_thread=False
            )
            self._database.execute("PRAGMA synchronous = OFF")
        self._insert = ""
        self.is_readable = True

    def write(self, rows: list[Row], /) -> None:
        """Add rows; the first of all has the names of the columns."""
        with _as_os_error():
            self._database.execute("BEGIN")
            if not self._insert:
                names, *rows = rows
                self._database.execute(f"CREATE TABLE {TABLE} ({', '.join(_declared(names))})")
                self._insert = f"INSERT INTO {TABLE} VALUES ({', '.join('?' * len(names))})"  # noqa: S608
            self._database.executemany(self._insert, rows)
            self._database.execute("COMMIT")

    def finish(self, *, whole: bool) -> None:
        """Close the database; it is readable, `whole` or not."""
        with _as_os_error():
            self._database.close()


def _cell(value: Any) -> Any:
    value = scalar(value)
    return str(value) if isinstance(value, int) and value not in _INT64 else value


def _declared(names: Sequence[str]) -> Iterator[str]:
    """Yield the columns as SQLite has them: unique in lower case too, and all but text and index
    without a type, so that each value keeps its own.
    """
    taken: set[str] = set(FIXED)
    for position, name in enumerate(names):
        if name in FIXED:
            kind = " INTEGER" if not position else " TEXT"
        else:
            kind = ""
            name = str(scalar(name)).replace("\0", "")
            while name.lower() in taken:
                name = f"value.{name}"
            taken.add(name.lower())
        quoted = name.replace('"', '""')
        yield f'"{quoted}"{kind}'


@contextmanager
def _as_os_error() -> Iterator[None]:
    """Raise what SQLite says as the error of a file that can't be written."""
    try:
        yield
    except sqlite3.Error as error:
        raise OSError(errno.EIO, str(error)) from error
