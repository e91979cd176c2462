"""Files of rows that are compressed as they are written."""

from __future__ import annotations

import bz2
import lzma
import os
import select
import sys
import zlib
from collections.abc import Callable
from io import FileIO
from typing import Any, Protocol


class Compressor(Protocol):
    """A compressor of one stream, as the standard library has them."""

    def compress(self, data: Any, /) -> bytes: ...

    def flush(self) -> bytes: ...


def _zstd() -> Compressor:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd

    return zstd.ZstdCompressor()


_COMPRESSORS: dict[str, Callable[[], Compressor]] = {
    ".gz": lambda: zlib.compressobj(wbits=31),
    ".bz2": bz2.BZ2Compressor,
    ".xz": lzma.LZMACompressor,
    ".zst": _zstd,
}
WRITTEN = tuple(_COMPRESSORS)  # the suffixes


class CompressedFile:
    """A file that is written compressed. What is small comes in later writes, or in `finish`."""

    def __init__(self, file: FileIO, compressor: Compressor) -> None:
        self._file = file
        self._compressor = compressor
        self._is_begun = False

    def write(self, data: memoryview, /) -> int:
        self._is_begun = True
        self._write_all(self._compressor.compress(data))
        return len(data)

    def fileno(self) -> int:
        return self._file.fileno()

    def finish(self, *, whole: bool) -> None:
        """Write what is left, so that the file can be read; nothing if it is to stay empty."""
        if self._is_begun or whole:
            self._write_all(self._compressor.flush())

    def _write_all(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            written = self._file.write(left)
            if written is None:  # it was set not to block, and is full
                select.select([], [self._file], [])
            else:
                left = left[written:]


def compressed_by_name(file: FileIO, path: str) -> CompressedFile | None:
    """Return what compresses the rows of a file; None if its name asks for nothing."""
    make = _COMPRESSORS.get(os.path.splitext(path.lower())[1])
    return None if make is None else CompressedFile(file, make())
