"""Making one checkpoint out of several."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator, Sequence

from .config import Checkpoint
from .errors import CheckpointError
from .lock import WriterLock
from .opening import (
    check_place,
    create_tables,
    mark_as_checkpoint,
    real_path,
    set_page_size,
    translated,
)
from .pieces import Row
from .reading import Reader, RunRow, damaged

# What is copied is noted in tables that SQLite keeps on the disk, since there may be many pieces.
_TABLES = """
CREATE TEMP TABLE found (
    source INTEGER, piece INTEGER, session INTEGER, recorded REAL, PRIMARY KEY (source, piece)
) WITHOUT ROWID;
CREATE TEMP TABLE placed (
    source INTEGER, piece INTEGER, session INTEGER, id INTEGER, PRIMARY KEY (source, piece)
) WITHOUT ROWID;
"""
# Pieces get their ids in the order of recording. Those of one file stay in their order, even if its
# clock was set back: what counts is the latest time up to each piece.
_PLACE = """
INSERT INTO placed
SELECT source, piece, session, row_number() OVER (ORDER BY latest, source, piece)
FROM (
    SELECT *, max(recorded) OVER (PARTITION BY source ORDER BY piece) AS latest FROM found
)
"""
_COPIED = "SELECT id, piece, session FROM placed WHERE source = ? ORDER BY piece"
_INSERT_PIECE = (
    f"INSERT INTO piece (id, session, {', '.join(Row._fields)}) "  # noqa: S608  # our own names
    f"VALUES ({', '.join('?' * (len(Row._fields) + 2))})"
)
_INSERT_SUSPECT = """
INSERT INTO suspect VALUES (?, ?, ?)
ON CONFLICT (run, key) DO UPDATE SET kills = max(kills, excluded.kills)
"""


def merge(checkpoint: Checkpoint, sources: Sequence[str | os.PathLike[str]]) -> int:
    """Make the file of `checkpoint` out of the sources; return how many outcomes it has."""
    target = real_path(checkpoint.path)
    paths = _checked(target, sources)
    check_place(target)
    # No run may make the file meanwhile.
    lock = WriterLock(target)
    try:
        if os.path.lexists(target):
            raise CheckpointError(
                f"{target} exists already; a merged checkpoint is a new file. Choose another path, "
                "or move that one away",
                target,
            )
        with _new_file(target) as connection:
            return _Merge(connection).run(paths)
    finally:
        lock.release()


def _checked(target: str, sources: Sequence[str | os.PathLike[str]]) -> list[str]:
    if not sources:
        raise ValueError("merge: sources=() must name at least one checkpoint")
    paths: dict[str, None] = {}
    for source in sources:
        if not isinstance(source, (str, os.PathLike)):
            raise TypeError(f"merge: source {source!r} must be the path of a checkpoint")
        path = real_path(source)
        if path == target:
            raise ValueError(f"merge: source {path!r} is the file that is to be made")
        if path in paths:
            raise ValueError(f"merge: source {path!r} is given twice")
        paths[path] = None
    return list(paths)


@contextlib.contextmanager
def _new_file(target: str) -> Iterator[sqlite3.Connection]:
    """Connect to a new database, which gets its name at the end, if nothing was raised.

    A kill leaves a file that is not marked as a checkpoint. Its name is ours, since the target is
    locked, so the next merge replaces it.
    """
    folder, name = os.path.split(target)
    path = os.path.join(folder, f".{name}.merging")
    try:
        with translated(target):
            _remove(path)
            connection = sqlite3.connect(path, isolation_level=None)
            try:
                # A file that is not completed is thrown away, so nothing has to be taken back.
                connection.execute("PRAGMA journal_mode = OFF")
                connection.execute("PRAGMA synchronous = OFF")
                connection.execute("PRAGMA temp_store = FILE")
                set_page_size(connection)
                connection.executescript(_TABLES)
                connection.execute("BEGIN")
                create_tables(connection)
                yield connection
                mark_as_checkpoint(connection)
                connection.execute("COMMIT")
            finally:
                connection.close()
        _sync(path, os.O_RDWR)
        os.rename(path, target)
    except BaseException as error:
        _remove(path)
        if isinstance(error, OSError):
            text = f"{target} can't be written: {error.strerror}"
            raise CheckpointError(text, target) from error
        raise
    with contextlib.suppress(OSError):  # folders can't be opened everywhere
        _sync(folder, os.O_RDONLY)


class _Merge:
    """Copies sources to a new database, one after the other: hundreds can't all be open."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._runs: dict[tuple[str, str | None], int] = {}
        self._sessions: list[dict[int, int]] = []  # of each source: their new ids

    def run(self, paths: Sequence[str]) -> int:
        for source, path in enumerate(paths):
            with Reader(path) as reader:
                self._look(source, reader)
        self._connection.execute(_PLACE)
        count = 0
        for source, path in enumerate(paths):
            with Reader(path) as reader:
                count += self._copy(source, reader)
        return count

    def _look(self, source: int, reader: Reader) -> None:
        """Note which pieces a source has, and copy everything else."""
        # The pieces come first: a run that goes on may add some, with a session, at any time.
        self._connection.executemany(
            "INSERT INTO found VALUES (?, ?, ?, ?)",
            ((source, *piece) for piece in reader.pieces()),
        )
        sessions: dict[int, int] = {}
        for run in reader.runs():
            number = self._run(run)
            for session in reader.sessions(run.id):
                sessions[session.id] = self._insert(
                    "INSERT INTO session (run, fingerprint, python, host, pid, started, ended) "
                    "VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (number, *session[2:]),
                )
            self._connection.executemany(
                _INSERT_SUSPECT,
                ((number, key, kills) for key, kills in reader.suspects(run.id).items()),
            )
        self._sessions.append(sessions)

    def _run(self, run: RunRow) -> int:
        identity = run.name, run.version
        if identity in self._runs:
            self._connection.execute(
                "UPDATE run SET created = min(created, ?) WHERE id = ?",
                (run.created, self._runs[identity]),
            )
        else:
            self._runs[identity] = self._insert(
                "INSERT INTO run (name, version, created) VALUES (?, ?, ?)", run[1:]
            )
        return self._runs[identity]

    def _copy(self, source: int, reader: Reader) -> int:
        """Copy the pieces of a source; return how many outcomes they have."""
        count = 0
        sessions = self._sessions[source]
        for number, piece, session in self._connection.execute(_COPIED, (source,)):
            row = reader.read(piece)
            if session not in sessions:
                raise damaged(reader.path, piece)
            self._connection.execute(_INSERT_PIECE, (number, sessions[session], *row))
            count += row.total
        return count

    def _insert(self, statement: str, values: Sequence[object]) -> int:
        """Execute an INSERT of one row, and return its id."""
        return self._connection.execute(statement, values).lastrowid or 0


def _remove(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def _sync(path: str, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
