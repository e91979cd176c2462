"""One writer: a lock on a file beside the checkpoint.

SQLite's own lock is not enough: a process loses it when it opens and closes the database file by
anything else, a copy or a checksum, say. The lock file also says who holds it, and what that
process was doing, if it was killed: a lock file that nobody has locked is what is left then.

Forked children inherit the lock, and would hold it after their parent's death, so they drop it.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import json
import os
import socket
import sys
import time
from typing import Any, NamedTuple

from .errors import CheckpointError

if sys.platform == "win32":
    import msvcrt

    # Locked bytes can't be read on Windows, so the lock is far behind the text.
    _OFFSET = 1 << 30

    def _try_lock(descriptor: int) -> None:
        os.lseek(descriptor, _OFFSET, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        finally:
            os.lseek(descriptor, 0, os.SEEK_SET)

    # There are no shared locks here, so that who only looks may look like an owner for a moment.
    _try_to_look = _try_lock
    _CAN_TELL_OWNERS = False

else:
    import fcntl

    def _try_lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _try_to_look(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)

    _CAN_TELL_OWNERS = True


_CLOSE_ON_EXEC = getattr(os, "O_CLOEXEC", 0)
_HELD_BY_OTHER = {errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK}
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}

# How often to begin again when the file that was locked is no longer the one at its path.
_TRIES = 100
# Whoever looks whether there is an owner shares the lock for a moment: seconds to wait for that.
_MOMENT = 0.05
# Seconds to wait for a stream of this process that was left, and is closing the checkpoint. A busy
# disk takes its time.
_CLOSING = 30.0
_POLL_INTERVAL = 0.005


def _lock_soon(descriptor: int) -> None:
    """Take the lock, waiting for those who only look; raise OSError if there is an owner."""
    until = time.monotonic() + _MOMENT
    while True:
        try:
            return _try_lock(descriptor)
        except OSError as error:
            if error.errno not in _HELD_BY_OTHER or time.monotonic() > until:
                raise
            if _CAN_TELL_OWNERS and _has_owner(descriptor):
                raise
        time.sleep(_POLL_INTERVAL)


def _has_owner(descriptor: int) -> bool:
    """Return whether somebody else holds the lock; if not, share it until the next call or close.

    Owners hold it alone. So one who looks doesn't take another one for an owner.
    """
    try:
        _try_to_look(descriptor)
    except OSError as error:
        return error.errno in _HELD_BY_OTHER
    return False


class Owner(NamedTuple):
    """The process that writes a checkpoint."""

    host: str
    pid: int
    started: float  # in seconds since the epoch

    def __str__(self) -> str:
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.started))
        return f"process {self.pid} on {self.host}, started {since}"


class WriterLock:
    """The right to write one checkpoint, from construction until `release`.

    Args:
        database: the checkpoint, as its real path: two names must not mean two locks.

    Attributes:
        left_behind: the notes of a killed owner; else empty. They stay until `rewrite`.
        previous: that owner; None if the last one ended in order.

    Raises:
        CheckpointError: if another run writes it, in this process or in another one, or if the file
            system has no locks.
    """

    def __init__(self, database: str) -> None:
        self._database = database
        self.path: str = f"{database}.lock"
        self.left_behind: list[str] = []
        self.previous: Owner | None = None
        self._file: int | None = None
        self._is_leaving = False  # whether `release` comes soon; set once, by any thread
        self._pid = os.getpid()
        self._file = self._acquire()
        _held.add(self)
        try:
            self._take_over(self._file)
        except OSError as error:
            self.release()
            raise self._unusable(error) from error

    @property
    def is_mine(self) -> bool:
        """Whether the file at the path is still the one that is locked."""
        return self._file is not None and self._is_at_path(self._file)

    def append(self, line: str) -> None:
        """Note something that the next owner is to know if this one is killed.

        The note survives the process and not the machine: it isn't waited for.
        """
        if self._file is not None:
            _write(self._file, f"{line}\n".encode())

    def rewrite(self, lines: list[str]) -> None:
        """Replace all notes; a kill in the middle may lose some."""
        if self._file is not None:
            os.lseek(self._file, self._start, os.SEEK_SET)
            os.truncate(self._file, self._start)
            _write(self._file, "".join(f"{line}\n" for line in lines).encode())

    def leave(self) -> None:
        """Say that `release` will come soon: who wants the lock in this process waits for it."""
        self._is_leaving = True

    def release(self) -> None:
        """Remove the lock file and drop the lock. Does nothing the second time, or in a child."""
        descriptor, self._file = self._file, None
        if descriptor is None:
            return
        self._is_leaving = True
        if os.getpid() == self._pid:
            # Removed while it is locked: who waits for it sees that it is no longer at its path.
            with contextlib.suppress(OSError):
                if sys.platform == "win32":
                    os.truncate(descriptor, 0)  # it can't be removed while others have it open
                elif self._is_at_path(descriptor):
                    os.unlink(self.path)
        os.close(descriptor)
        _held.discard(self)

    def _drop_in_child(self) -> None:
        descriptor, self._file = self._file, None
        if descriptor is not None:
            os.close(descriptor)  # the parent's description stays locked

    def _acquire(self) -> int:
        until = time.monotonic() + _CLOSING
        tries = 0
        while tries < _TRIES:
            try:
                descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | _CLOSE_ON_EXEC, 0o666)
            except OSError as error:
                raise self._unusable(error) from error
            is_worth_waiting = self._comes_free_soon()  # first: it may be free once we were refused
            try:
                _lock_soon(descriptor)
                if self._is_at_path(descriptor):
                    return descriptor
            except OSError as error:
                lines = _read(descriptor) if error.errno in _HELD_BY_OTHER else None
                os.close(descriptor)
                if lines is None:
                    raise self._unusable(error) from error
                if not is_worth_waiting or time.monotonic() > until:
                    owner = _owner(lines[0]) if lines else None
                    raise self._refusal(owner) from None
                time.sleep(_POLL_INTERVAL)
                continue
            os.close(descriptor)  # its last owner has just removed it
            tries += 1
        raise CheckpointError(f"{self.path} is replaced all the time by others", self._database)

    def _comes_free_soon(self) -> bool:
        """Return whether another one of this process has the lock, and is about to release it."""
        return any(lock.path == self.path and lock._is_leaving for lock in list(_held))

    def _take_over(self, descriptor: int) -> None:
        lines = _read(descriptor)
        if lines:
            self.previous, self.left_behind = _owner(lines[0]), lines[1:]
        me = Owner(socket.gethostname(), os.getpid(), time.time())
        text = f"{json.dumps(me._asdict())}\n".encode()
        notes = "".join(f"{line}\n" for line in self.left_behind).encode()
        os.truncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
        _write(descriptor, text + notes)
        self.owner = me
        self._start = len(text)

    def _is_at_path(self, descriptor: int) -> bool:
        try:
            there = os.stat(self.path)
        except OSError:
            return False
        mine = os.fstat(descriptor)
        return (there.st_dev, there.st_ino) == (mine.st_dev, mine.st_ino)

    def _refusal(self, owner: Owner | None) -> CheckpointError:
        who = "another run" if owner is None else f"the run of {owner}"
        return CheckpointError(
            f"{self._database} is being written by {who}. One run at a time may write a "
            "checkpoint: wait for that one, end it, or give this one a file of its own",
            self._database,
        )

    def _unusable(self, error: OSError) -> CheckpointError:
        if error.errno in _NO_LOCKS:
            return CheckpointError(
                f"{self.path} can't be locked: its file system has no locks ({error.strerror}). "
                "Without one, two runs could write one checkpoint; put it on another file system",
                self._database,
            )
        return CheckpointError(f"{self.path} can't be written: {error.strerror}", self._database)


def read_owner(database: str) -> tuple[Owner | None, bool]:
    """Return who writes a checkpoint, or was killed while it did, and whether it still does."""
    try:
        try:
            descriptor = os.open(f"{database}.lock", os.O_RDWR | _CLOSE_ON_EXEC)
        except PermissionError:  # who may only read can still ask
            descriptor = os.open(f"{database}.lock", os.O_RDONLY | _CLOSE_ON_EXEC)
    except OSError:
        return None, False
    try:
        lines = _read(descriptor)
        owner = _owner(lines[0]) if lines else None
        return owner, _has_owner(descriptor)
    finally:
        os.close(descriptor)


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _read(descriptor: int) -> list[str]:
    os.lseek(descriptor, 0, os.SEEK_SET)
    parts = []
    while part := os.read(descriptor, 1 << 20):
        parts.append(part)
    return b"".join(parts).decode("utf-8", "replace").splitlines()


def _owner(line: str) -> Owner | None:
    try:
        known: dict[str, Any] = json.loads(line)
        return Owner(str(known["host"]), int(known["pid"]), float(known["started"]))
    except (ValueError, TypeError, KeyError):
        return None


# The locks of this process. Sets are safe to share between threads, and to be made a list of.
_held: set[WriterLock] = set()


def _after_fork() -> None:
    for lock in list(_held):
        lock._drop_in_child()
    _held.clear()


def _at_exit() -> None:
    # A process that exits with a map that nobody closed was not killed.
    for lock in list(_held):
        lock.release()


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
