"""Opening a checkpoint file: whose it is, and in which way SQLite is to write it."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from typing import Literal
from urllib.parse import quote

from . import schema
from .errors import CheckpointError
from .filesystems import file_system, is_shared

# "local": readers work while a run writes. "network": nothing but the writer has access, and no
# memory is shared, as file systems of several hosts need it.
Mode = Literal["local", "network"]

# Seconds to wait for others who use the file for a moment: readers, tools.
_BUSY = 10.0
_PAGE_SIZE = 16384


def real_path(path: str | os.PathLike[str]) -> str:
    """Return the one name of a file that may have several by symbolic links."""
    return os.path.realpath(os.fspath(path))


def mode_for(path: str) -> Mode:
    return "network" if is_shared(file_system(path)) else "local"


def open_to_write(path: str, mode: Mode) -> sqlite3.Connection:
    """Return a connection to the checkpoint at `path`, which is made if there is none.

    Raises:
        CheckpointError: if it can't be written, is damaged, belongs to something else, or was
            written by a later version; the file is left as it was.
    """
    with translated(path):
        connection = sqlite3.connect(
            path, timeout=_BUSY, isolation_level=None, check_same_thread=False
        )
    try:
        with translated(path):
            if mode == "network":
                connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            is_new = _check_owner(connection, path)
            if is_new:
                set_page_size(connection)
            _set_journal(connection, path, mode)
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA mmap_size = 0")
            if is_new:
                _create(connection)
        return connection
    except BaseException:
        connection.close()  # one whose opening failed keeps its locks until then
        raise


def open_to_read(path: str) -> sqlite3.Connection:
    """Return a connection that reads the checkpoint at `path`, also while a run writes it.

    Raises:
        CheckpointError: if there is none, or it can't be read.
    """
    if not os.path.exists(path):
        raise CheckpointError(f"there is no checkpoint {path}", path)
    try:
        return _connect_to_read(path)
    except CheckpointError as error:
        if not _needs_recovery(error):
            raise
    # A writer was killed in the middle of a commit. Whoever opens the file next has to take that
    # back, under SQLite's locks; who only reads must not.
    with translated(path):
        connection = sqlite3.connect(
            f"file:{quote(os.fsencode(path))}?mode=rw", uri=True, timeout=_BUSY
        )
        try:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        finally:
            connection.close()
    return _connect_to_read(path)


def _connect_to_read(path: str) -> sqlite3.Connection:
    with translated(path):
        connection = sqlite3.connect(
            _address(path, "ro"),
            uri=True,
            timeout=_BUSY,
            isolation_level=None,
            check_same_thread=False,
        )
    try:
        with translated(path):
            if _check_owner(connection, path):
                raise CheckpointError(f"{path} is empty: no run has written it yet", path)
        return connection
    except BaseException:
        connection.close()
        raise


def _address(path: str, mode: str) -> str:
    return f"file:{quote(os.fsencode(path))}?mode={mode}"  # names may be no text


def is_locked(error: CheckpointError) -> bool:
    """Return whether SQLite has waited for somebody else in vain."""
    return _name_of(error.__cause__).startswith("SQLITE_BUSY")


def _needs_recovery(error: CheckpointError) -> bool:
    return _name_of(error.__cause__) in ("SQLITE_READONLY_ROLLBACK", "SQLITE_READONLY_RECOVERY")


def _name_of(error: BaseException | None) -> str:
    return str(getattr(error, "sqlite_errorname", ""))


@contextlib.contextmanager
def translated(path: str):  # type: ignore[no-untyped-def]
    """Turn what SQLite raises into `CheckpointError` that says what to do."""
    try:
        yield
    except sqlite3.Error as error:
        raise CheckpointError(_explanation(error, path), path) from error


def close_for_good(connection: sqlite3.Connection) -> None:
    """Close the connection of a writer, leaving one file that can be read from anywhere."""
    # Without a write-ahead log, a file in a read-only folder can be read. Others who have it open
    # may prevent that, and then it stays as it is, which is as durable.
    with contextlib.suppress(sqlite3.Error):
        connection.execute("PRAGMA busy_timeout = 0")
        connection.execute("PRAGMA journal_mode = DELETE")
    connection.close()


def check_place(path: str) -> None:
    """Refuse a path at which there can't be a checkpoint, in better words than SQLite's."""
    if os.path.isdir(path):
        raise CheckpointError(f"{path} is a folder; a checkpoint is a file", path)
    if os.path.exists(path) and not os.path.isfile(path):  # opening a pipe would wait for ever
        raise CheckpointError(f"{path} is a pipe or a device; a checkpoint is a file", path)
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):
        raise CheckpointError(f"{path} can't be made: there is no folder {folder}", path)


def _check_owner(connection: sqlite3.Connection, path: str) -> bool:
    """Return whether the file is empty; refuse it if it is not ours to write."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if tables == 0 and application == 0 and version == 0:
        return True
    if application != schema.APPLICATION_ID:
        raise CheckpointError(
            f"{path} is a database of another program, and was not changed; choose another file",
            path,
        )
    if version > schema.VERSION:
        raise CheckpointError(
            f"{path} was written by a later version of this library (format {version}; this one "
            f"knows {schema.VERSION}), and was not changed. Use that version, or another file",
            path,
        )
    return False


def _set_journal(connection: sqlite3.Connection, path: str, mode: Mode) -> None:
    wanted = "wal" if mode == "local" else "truncate"
    (journal,) = connection.execute(f"PRAGMA journal_mode = {wanted}").fetchone()
    if journal != wanted:
        raise CheckpointError(
            f"{path} can't be written with journal_mode={wanted} (SQLite chose {journal}); "
            "pass Checkpoint(..., file_system='network') for a file system without shared memory",
            path,
        )


def set_page_size(connection: sqlite3.Connection) -> None:
    """Choose the size of pages of a database that is empty."""
    connection.execute(f"PRAGMA page_size = {_PAGE_SIZE}")


def create_tables(connection: sqlite3.Connection) -> None:
    for statement in schema.TABLES.split(";"):
        if statement.strip():
            connection.execute(statement)


def mark_as_checkpoint(connection: sqlite3.Connection) -> None:
    """Mark the file as ours, and with the version of its format."""
    connection.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {schema.VERSION}")


def _create(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        create_tables(connection)
        mark_as_checkpoint(connection)
        connection.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


_EXPLANATIONS = {
    "SQLITE_READONLY_ROLLBACK": (
        "can't be read before what a killed run has left unfinished is taken back, and it may not "
        "be written by you"
    ),
    "SQLITE_NOTADB": "is not a checkpoint, and was not changed; choose another file",
    "SQLITE_CORRUPT": (
        "is damaged. Restore a copy of it; or export what can be read "
        "(metainformant checkpoint export --skip-damaged), move it away and run again"
    ),
    "SQLITE_FULL": "can't be written: the disk is full. Make room and run again; it will go on",
    "SQLITE_READONLY": "can't be written: it, or its folder, is read-only",
    "SQLITE_CANTOPEN": "can't be opened: check that its folder exists and may be written",
    "SQLITE_BUSY": "is locked by another program, a database browser, say. Close that one",
    "SQLITE_PERM": "can't be opened: permission denied",
}


def _explanation(error: sqlite3.Error, path: str) -> str:
    name = _name_of(error)
    for known, text in _EXPLANATIONS.items():
        if name.startswith(known):
            return f"{path} {text} ({error} [{name}])"
    return f"{path} can't be used: {error}" + (f" [{name}]" if name else "")
