"""The open checkpoint of the process that writes it: rows go in, and come back."""

from __future__ import annotations

import os
import socket
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Sequence

from .errors import CheckpointError
from .fingerprint import PYTHON
from .lock import WriterLock
from .opening import (
    Mode,
    check_place,
    close_for_good,
    mode_for,
    open_to_write,
    real_path,
    translated,
)
from .pieces import Row
from .reading import Head, heads, read_piece, suspects

_INSERT = (
    f"INSERT INTO piece (session, {', '.join(Row._fields)}) "  # noqa: S608  # our own names
    f"VALUES ({', '.join('?' * (len(Row._fields) + 1))})"
)


class Store:
    """A checkpoint file, locked, from construction until `close`.

    Any thread may call its methods; `_lock` keeps them apart. In a forked child it does nothing.

    Args:
        path: the file; it is made if there is none.
        mode: how the file is to be used; None to see what kind of file system it is on.

    Raises:
        CheckpointError: if it can't be used, or another run uses it.
    """

    def __init__(self, path: str | os.PathLike[str], mode: Mode | None = None) -> None:
        self.path: str = real_path(path)
        self.mode: Mode = mode_for(self.path) if mode is None else mode
        self._lock = threading.RLock()
        self._pid = os.getpid()
        self._is_closed = False
        check_place(self.path)
        if os.path.exists(self.path) and os.stat(self.path).st_nlink > 1:
            raise CheckpointError(
                f"{self.path} has another name (a hard link). Written under two names, a database "
                "is damaged; make a copy and use that",
                self.path,
            )
        self.lock: WriterLock = WriterLock(self.path)
        try:
            self._connection = open_to_write(self.path, self.mode)
        except BaseException:
            self.lock.release()
            raise
        self._places: Sequence[tuple[int, int]] = ()

    def begin_session(self, name: str, version: str | None, fingerprint: str) -> tuple[int, int]:
        """Note that this process works on a run; return the ids of the run and of the session."""
        now = time.time()
        with self._transaction():
            found = self._connection.execute(
                "SELECT id FROM run WHERE name = ? AND version IS ?", (name, version)
            ).fetchone()
            if found is None:
                number = self._insert(
                    "INSERT INTO run (name, version, created) VALUES (?, ?, ?)",
                    (name, version, now),
                )
            else:
                (number,) = found
            session = self._insert(
                "INSERT INTO session (run, fingerprint, python, host, pid, started) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                (number, fingerprint, PYTHON, socket.gethostname(), self._pid, now),
            )
        self._places = self._look()  # only now are all files there
        self.check_files()
        return number, session

    def heads(self, run: int) -> Iterator[Head]:
        """Return the pieces of a run, in the order in which they were recorded.

        Raises:
            CheckpointError: at one that is not what was written.
        """
        with self._lock:
            yield from heads(self._connection, run, self.path)

    def read(self, number: int) -> Row:
        """Return a piece; CheckpointError if it is not what was written."""
        with self._lock:
            return read_piece(self._connection, number, self.path)

    def write(self, session: int, rows: Iterable[Row]) -> None:
        """Record rows, all or none; they are on the disk when this returns.

        Raises:
            CheckpointError: if they are not, for whatever reason.
        """
        with self._transaction():
            self._connection.executemany(_INSERT, ((session, *row) for row in rows))
        self.check_files()

    def check_files(self) -> None:
        """Raise CheckpointError if the file at the path is no longer the one that is written."""
        if not self._places or self._look() != self._places or not self.lock.is_mine:
            raise CheckpointError(
                f"{self.path}, or a file beside it that belongs to it, was deleted or replaced "
                "while a run wrote it. What was recorded since then may be lost",
                self.path,
            )

    def was_killed(self, session: int, run: int) -> bool:
        """Return whether a session worked on the run, and has not ended in order."""
        with self._lock, translated(self.path):
            found = self._connection.execute(
                "SELECT ended IS NULL FROM session WHERE id = ? AND run = ?", (session, run)
            ).fetchone()
        return found is not None and bool(found[0])

    def suspects(self, run: int) -> dict[str, int]:
        with self._lock, translated(self.path):
            return suspects(self._connection, run)

    def set_suspects(self, run: int, kills: dict[str, int]) -> None:
        """Replace the items that were in flight at kills: their keys as JSON, and how often."""
        with self._transaction():
            self._connection.execute("DELETE FROM suspect WHERE run = ?", (run,))
            self._connection.executemany(
                "INSERT INTO suspect VALUES (?, ?, ?)",
                ((run, key, count) for key, count in kills.items()),
            )

    def forget_suspects(self) -> None:
        """Let every item be run again, whatever it was in flight at."""
        with self._transaction():
            self._connection.execute("DELETE FROM suspect")

    def close(self, session: int | None = None) -> None:
        """Close the file; with `session`, note that it ended in order."""
        if self._is_closed or os.getpid() != self._pid:
            return
        try:
            with self._lock, translated(self.path):
                try:
                    if session is not None:
                        self._connection.execute(
                            "UPDATE session SET ended = ? WHERE id = ?", (time.time(), session)
                        )
                finally:
                    self._is_closed = True
                    close_for_good(self._connection)
        finally:
            if self._is_closed:  # else Ctrl-C came while it waited for the writer
                self.lock.release()

    def _insert(self, statement: str, values: tuple[object, ...]) -> int:
        """Execute an INSERT of one row, and return its id."""
        return self._connection.execute(statement, values).lastrowid or 0

    def _look(self) -> Sequence[tuple[int, int]]:
        """Which files are at the paths that SQLite has open."""
        paths = [self.path, f"{self.path}-wal"] if self.mode == "local" else [self.path]
        places = []
        for path in paths:
            try:
                status = os.stat(path)
            except OSError:
                return ()
            places.append((status.st_dev, status.st_ino))
        return places

    def _transaction(self) -> _Transaction:
        return _Transaction(self._connection, self._lock, self.path)


class _Transaction:
    """A context whose statements are executed as a whole or not at all."""

    def __init__(self, connection: sqlite3.Connection, lock: threading.RLock, path: str) -> None:
        self._connection = connection
        self._lock = lock
        self._path = path

    def __enter__(self) -> None:
        self._lock.acquire()
        try:
            with translated(self._path):
                self._connection.execute("BEGIN IMMEDIATE")
        except BaseException:
            self._lock.release()
            raise

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:
            with translated(self._path):
                if error is None:
                    self._connection.execute("COMMIT")
                elif isinstance(error, sqlite3.Error):
                    raise error
        except BaseException:
            self._roll_back()
            raise
        else:
            if error is not None:
                self._roll_back()
        finally:
            self._lock.release()

    def _roll_back(self) -> None:
        if self._connection.in_transaction:  # some errors have rolled it back already
            try:
                self._connection.execute("ROLLBACK")
            except sqlite3.Error:
                return
