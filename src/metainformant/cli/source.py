"""One input while it is read: where its bytes come from, and how many have been read."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from typing import BinaryIO

from .decompression import TrailingDataError, decompressed
from .inputs import PATHS, Input, is_compressed
from .text import Text


class Source:
    """An input that is open: a context manager.

    Attributes:
        text: its lines, decompressed.
        trailing: what stands behind the compressed data, once the lines have been read.
    """

    def __init__(self, entry: Input, stdin: BinaryIO) -> None:
        self._is_own = not entry.is_stdin
        self._file: BinaryIO = open(entry.path, "rb") if self._is_own else stdin  # noqa: SIM115
        self._bytes_read = 0
        self.trailing: TrailingDataError | None = None
        self.text: Text = Text(self._blocks(), entry.path)

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_own:
            self._file.close()

    @property
    def position(self) -> int:
        """The bytes of the file whose lines have been yielded, about. Any thread may ask."""
        if not self.text.bytes_read:
            return 0
        return round(self._bytes_read * self.text.bytes_consumed / self.text.bytes_read)

    def _blocks(self) -> Iterator[bytes]:
        try:
            yield from decompressed(self._read, may_be_plain=not is_compressed(self.text.path))
        except TrailingDataError as error:
            self.trailing = error

    def _read(self, size: int) -> bytes:
        block: bytes = self._file.read1(size)  # type: ignore[attr-defined]
        self._bytes_read += len(block)
        return block


def size_of(entry: Input, stdin: BinaryIO) -> int | None:
    """Return how many bytes there are to read; None if the path is the record, or is no file."""
    if entry.format == PATHS:
        return None
    try:
        if not entry.is_stdin:
            found = os.stat(entry.path)
            return found.st_size if stat.S_ISREG(found.st_mode) else None
        found = os.fstat(stdin.fileno())
        return found.st_size - stdin.tell() if stat.S_ISREG(found.st_mode) else None
    except (OSError, io.UnsupportedOperation):  # it has gone, or is in memory
        return None
