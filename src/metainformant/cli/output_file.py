"""A file of rows that takes its name when it is whole, and never before."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from io import FileIO
from itertools import count
from typing import Any

import click

from .compression import CompressedFile, compressed_by_name
from .row_writer import CellWriter, RawFile, RowFile, RowWriter, Writer

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


class OutputFile:
    """The output of one run: a context manager; write to `writer`, and call `close` at the end.

    A regular file is written under another name in the same folder, NAME.part, and renamed at the
    end: until then an earlier file of that name is untouched, whatever ends the run. Pipes and
    devices are written in place.

    Args:
        path: the file; rows are compressed if its name says so.
        keeps_part: whether the rows of a run that is not whole are kept. Where they can be had
            again, from a checkpoint, what a killed run has left is written anew.
        row_file: makes of the file one of rows that are not text.

    Raises:
        click.UsageError: if it can't be written.
    """

    def __init__(
        self,
        path: str,
        *,
        keeps_part: bool = True,
        row_file: Callable[[FileIO], RowFile] | None = None,
    ) -> None:
        self._path = path
        self._keeps_part = keeps_part
        self._target = os.path.realpath(path)  # a link stays a link
        self._part: str | None = None
        if row_file is not None and _in_place(path):
            raise click.UsageError(
                f"{path!r} is a pipe or a device, where only text can be written; name a file"
            )
        try:
            self.file: FileIO = FileIO(path, "w") if _in_place(path) else self._create()
            self._open(row_file)
        except OSError as error:
            folder = os.path.dirname(path)
            fix = "" if os.path.isdir(folder or ".") else f"; make the folder {folder!r} first"
            raise click.UsageError(f"{path!r} can't be written: {error.strerror}{fix}") from None

    def __enter__(self) -> OutputFile:
        return self

    def __exit__(self, *_: object) -> None:
        if not self.file.closed:  # by an exception that nobody expected
            with suppress(OSError):
                self.close(whole=False)

    def _open(self, row_file: Callable[[FileIO], RowFile] | None) -> None:
        # What has to write an end, after which the file can be read.
        self._encoder: RowFile | CompressedFile | None
        self.writer: Writer[Any]
        self._row_file: RowFile | None = None
        if row_file is not None:
            self._encoder = self._row_file = rows = row_file(self.file)
            self.writer = CellWriter(rows)
        else:
            self._encoder = compressed = compressed_by_name(self.file, self._path)
            raw: RawFile = compressed or self.file
            self.writer = RowWriter(raw)

    def _create(self) -> FileIO:
        existing = _mode(self._target)
        if existing is not None and not os.access(self._target, os.W_OK):
            raise PermissionError(errno.EACCES, "it is write-protected")
        for number in count(1):
            self._part = f"{self._target}.part" if number == 1 else f"{self._target}.{number}.part"
            try:
                file = FileIO(self._part, "x")
            except FileExistsError:  # of an earlier run, or one that goes on
                if self._keeps_part or (left := _left_behind(self._part)) is None:
                    continue
                file = left
            _lock(file)
            break
        if existing is not None:
            with suppress(OSError):
                os.chmod(file.name, stat.S_IMODE(existing))
        return file

    def close(self, *, whole: bool) -> None:
        """Give the file its name if it is `whole`; else remove it if it is empty, or not kept.

        Raises:
            OSError: if the system could not write it all. It is not given its name then.
        """
        self.finish(whole=whole)
        if whole:
            self.take_name()

    def finish(self, *, whole: bool) -> None:
        """Do what `close` does, except for giving the file its name."""
        with self.file:
            if self._encoder is not None:
                self._encoder.finish(whole=whole)
            if self._part is None:
                return
            if not whole:
                if not self._keeps_part or os.fstat(self.file.fileno()).st_size == 0:
                    os.unlink(self._part)
                return
            os.fsync(self.file.fileno())

    def take_name(self) -> None:
        """Replace what has the name of the file, after `finish`."""
        if self._part is not None:
            os.replace(self._part, self._target)

    def whereabouts(self) -> str:
        """Say where the rows of a run are that is not whole."""
        if self._part is None:
            return f"the rows so far are in {self._path!r}"
        state = "is as it was" if os.path.exists(self._target) else "was not written"
        if not os.path.exists(self._part):
            return f"{self._path!r} {state}"
        part = os.path.join(os.path.dirname(self._path), os.path.basename(self._part))
        if self._row_file is not None and not self._row_file.is_readable:
            return f"{part!r} has no end and can't be read; {self._path!r} {state}"
        return f"the rows so far are in {part!r}; {self._path!r} {state}"


def _lock(file: FileIO) -> bool:
    """Let others see that the file is being written; return whether they see no other writer."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # there is one, or the file system has no locks
        return False
    return True


def _left_behind(path: str) -> FileIO | None:
    """Return the emptied file of a run that was killed; None if it may still be written."""
    with suppress(OSError):
        file = FileIO(path, "r+")
        # A run that has ended meanwhile has given its file another name.
        if _lock(file) and os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
            file.truncate()
            return file
        file.close()
    return None


def _in_place(path: str) -> bool:
    mode = _mode(path)
    is_descriptor = os.path.abspath(path).startswith(("/dev/fd/", "/dev/stderr", "/proc/"))
    return is_descriptor or (mode is not None and not stat.S_ISREG(mode))


def _mode(path: str) -> int | None:
    try:
        return os.stat(path).st_mode
    except FileNotFoundError:
        return None
