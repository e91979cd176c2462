"""Reading pieces through a connection, whoever else has the file open."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

from .errors import CheckpointError
from .lock import read_owner
from .opening import check_place, is_locked, open_to_read, real_path, translated
from .pieces import Row, is_head_intact, is_intact

_SELECT = f"SELECT {', '.join(Row._fields)} FROM piece WHERE id = ?"  # noqa: S608  # our own names

_HEADS = """
SELECT piece.id, piece.total, piece.keys, piece.failed_at, piece.checksum,
       session.fingerprint, session.python
FROM piece JOIN session ON session.id = piece.session
WHERE session.run = ? ORDER BY piece.id
"""


class Head(NamedTuple):
    """All that a resume has to know of a piece at first."""

    id: int
    keys: bytes | str
    failed_at: str | None
    fingerprint: str
    python: str


class RunRow(NamedTuple):
    """A function whose outcomes the file holds."""

    id: int
    name: str
    version: str | None
    created: float

    def __str__(self) -> str:
        return self.name if self.version is None else f"{self.name}, version {self.version}"


class SessionRow(NamedTuple):
    """One process's work on a run; `ended` is None if it was killed or still works."""

    id: int
    run: int
    fingerprint: str
    python: str
    host: str
    pid: int
    started: float
    ended: float | None


class Pieces(Protocol):
    """A place from which pieces are read."""

    def heads(self, run: int) -> Iterator[Head]:
        """Return the pieces of a run, in the order in which they were recorded."""
        ...

    def read(self, number: int) -> Row:
        """Return a piece as a whole."""
        ...


class Reader:
    """A checkpoint that is only read, from construction until `close`; for one thread.

    Raises:
        CheckpointError: if there is none, or it can't be read.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path: str = real_path(path)
        check_place(self.path)
        try:
            self._connection = open_to_read(self.path)
        except CheckpointError as error:
            owner, running = read_owner(self.path)
            if not is_locked(error) or not running:
                raise
            raise CheckpointError(
                f"{self.path} is being written by {owner or 'another run'}, on a file system that "
                "hosts share, where nobody can read it meanwhile. Wait until that run has ended",
                self.path,
            ) from error

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def heads(
        self, run: int, on_damage: Callable[[CheckpointError], object] | None = None
    ) -> Iterator[Head]:
        return heads(self._connection, run, self.path, on_damage)

    def read(self, number: int) -> Row:
        return read_piece(self._connection, number, self.path)

    def pieces(self) -> Iterator[tuple[int, int, float]]:
        """Yield id, session and time of recording of every piece of all runs, in their order."""
        with translated(self.path):
            yield from self._connection.execute(
                "SELECT id, session, recorded FROM piece ORDER BY id"
            )

    def runs(self) -> list[RunRow]:
        with translated(self.path):
            rows = self._connection.execute(
                "SELECT id, name, version, created FROM run ORDER BY id"
            )
            return [RunRow(*row) for row in rows]

    def choose(self, name: str | None = None, version: str | None = None) -> list[RunRow]:
        """Return the runs of that name and version, or all if neither is given.

        Raises:
            CheckpointError: if either is given and there is no such run.
        """
        known = self.runs()
        chosen = [
            run
            for run in known
            if (name is None or run.name == name) and (version is None or run.version == version)
        ]
        if not chosen and (name is not None or version is not None):
            wanted = "run" if name is None else f"run {name!r}"
            if version is not None:
                wanted += f" with version {version!r}"
            names = ", ".join(map(str, known)) or "none"
            raise CheckpointError(f"{self.path} has no {wanted}; it has: {names}", self.path)
        return chosen

    def sessions(self, run: int) -> list[SessionRow]:
        with translated(self.path):
            rows = self._connection.execute(
                "SELECT id, run, fingerprint, python, host, pid, started, ended "
                "FROM session WHERE run = ? ORDER BY id",
                (run,),
            )
            return [SessionRow(*row) for row in rows]

    def suspects(self, run: int) -> dict[str, int]:
        with translated(self.path):
            return suspects(self._connection, run)

    def close(self) -> None:
        self._connection.close()


def heads(
    connection: sqlite3.Connection,
    run: int,
    path: str,
    on_damage: Callable[[CheckpointError], object] | None = None,
) -> Iterator[Head]:
    """Yield the pieces of a run.

    One that is not what was written is a CheckpointError, which is given to `on_damage`, if there
    is one, or else raised.
    """
    with translated(path):
        for number, total, keys, failed_at, checksum, *origin in connection.execute(_HEADS, (run,)):
            if is_head_intact(checksum, total, keys, failed_at):
                yield Head(number, keys, failed_at, *origin)
            elif on_damage is None:
                raise damaged(path, number)
            else:
                on_damage(damaged(path, number))


def read_piece(connection: sqlite3.Connection, number: int, path: str) -> Row:
    """Return a piece; CheckpointError if it is not what was written."""
    with translated(path):
        columns = connection.execute(_SELECT, (number,)).fetchone()
    if columns is None or not is_intact(row := Row(*columns)):
        raise damaged(path, number)
    return row


def suspects(connection: sqlite3.Connection, run: int) -> dict[str, int]:
    return dict(connection.execute("SELECT key, kills FROM suspect WHERE run = ?", (run,)))


def damaged(path: str, number: int) -> CheckpointError:
    return CheckpointError(
        f"{path} is damaged: piece {number} is not what was written (its checksum differs). "
        "Restore a copy of the file; or export what is whole (metainformant checkpoint export "
        "--skip-damaged), move it away and run again",
        path,
    )
