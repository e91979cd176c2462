"""Whole lines on their way to a file, which any thread may flush."""

from __future__ import annotations

import select
import threading
from collections.abc import Callable
from typing import Protocol

_BUFFER = 64 * 1024


class RawFile(Protocol):
    """An unbuffered file, which may take only a part of what it is given, or for now nothing."""

    def write(self, data: memoryview, /) -> int | None: ...

    def fileno(self) -> int: ...


class RowWriter:
    """A buffer of whole lines before a file, which any thread may flush.

    An error in writing is raised by the call that meets it and by every later one.

    Args:
        file: unbuffered, because `io.BufferedWriter` loses data when a signal comes while it waits
            for a slow pipe.
        show: what prints text instead, where rows share a terminal with the progress bar.
    """

    def __init__(self, file: RawFile, show: Callable[[str], None] | None = None) -> None:
        self._file = file
        self._show = show
        self._lock = threading.Lock()
        self._lines: list[str] = []
        self._size = 0
        self._error: OSError | None = None

    def write(self, lines: str) -> None:
        """Add whole lines."""
        with self._lock:
            self._lines.append(lines)
            self._size += len(lines)
        if self._size >= _BUFFER or self._error is not None:
            self.flush()

    def flush(self, *, wait: bool = True) -> None:
        """Write what is buffered; without `wait`, do nothing while another thread writes."""
        if not self._lock.acquire(blocking=wait):
            return
        try:
            if self._error is not None:
                raise self._error
            text = "".join(self._lines)
            self._lines.clear()
            self._size = 0
            if text:
                self._write(text)
        except OSError as error:
            self._error = error
            raise
        finally:
            self._lock.release()

    def _write(self, text: str) -> None:
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
