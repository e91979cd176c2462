"""Rows on their way to a file, which any thread may flush."""

from __future__ import annotations

import select
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sized
from itertools import chain
from typing import Generic, Protocol, TypeVar

from .columns import Row

_BUFFERED_CHARACTERS = 64 * 1024
_BUFFERED_ROWS = 1000

T = TypeVar("T", bound=Sized)


class RawFile(Protocol):
    """An unbuffered file, which may take only a part of what it is given, or for now nothing."""

    def write(self, data: memoryview, /) -> int | None: ...

    def fileno(self) -> int: ...


class RowFile(Protocol):
    """A file of rows that are not text. The first of all has the columns.

    Attributes:
        is_readable: whether what has been written can be read, if nothing more comes.
    """

    is_readable: bool

    def write(self, rows: list[Row], /) -> None: ...

    def finish(self, *, whole: bool) -> None: ...


class Writer(ABC, Generic[T]):
    """A buffer of whole rows before a file, which any thread may flush.

    An error in writing is raised by the call that meets it and by every later one.

    Args:
        limit: how much is buffered at most, in what `len` counts.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._buffer: list[T] = []
        self._size = 0
        self._error: OSError | None = None

    def write(self, rows: T) -> None:
        """Add whole rows."""
        with self._lock:
            self._buffer.append(rows)
            self._size += len(rows)
        if self._size >= self._limit or self._error is not None:
            self.flush()

    def flush(self, *, wait: bool = True) -> None:
        """Write what is buffered; without `wait`, do nothing while another thread writes."""
        if not self._lock.acquire(blocking=wait):
            return
        try:
            if self._error is not None:
                raise self._error
            buffer, self._buffer = self._buffer, []
            size, self._size = self._size, 0
            if size:
                self._write(buffer)
        except OSError as error:
            self._error = error
            raise
        finally:
            self._lock.release()

    @abstractmethod
    def _write(self, buffer: list[T]) -> None: ...


class RowWriter(Writer[str]):
    """A buffer of lines of text.

    Args:
        file: unbuffered, because `io.BufferedWriter` loses data when a signal comes while it waits
            for a slow pipe.
        show: what prints text instead, where rows share a terminal with the progress bar.
    """

    def __init__(self, file: RawFile, show: Callable[[str], None] | None = None) -> None:
        super().__init__(_BUFFERED_CHARACTERS)
        self._file = file
        self._show = show

    def _write(self, buffer: list[str]) -> None:
        text = "".join(buffer)
        if self._show is not None:
            self._show(text)
            return
        # Odd bytes in file names arrive as lone surrogates, which UTF-8 can't hold.
        data = memoryview(text.encode(errors="backslashreplace"))
        while data:
            written = self._file.write(data)
            if written is None:  # it was set not to block, and is full
                select.select([], [self._file], [])
            else:
                data = data[written:]


class CellWriter(Writer[list[Row]]):
    """A buffer of rows of cells, for formats that are not text."""

    def __init__(self, file: RowFile) -> None:
        super().__init__(_BUFFERED_ROWS)
        self._file = file

    def _write(self, buffer: list[list[Row]]) -> None:
        self._file.write(list(chain.from_iterable(buffer)))
