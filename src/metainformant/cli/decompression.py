"""Compressed bytes as they come, so that all that stands before a damage is delivered.

The file objects of the standard library and of faster ones fill a whole buffer before they return,
and lose it if the data ends too early or is followed by something else.
"""

from __future__ import annotations

import bz2
import lzma
import sys
import zlib
from collections.abc import Callable, Iterator
from typing import Protocol

# Small, since the records in what a decompressor was given may be long in coming.
_COMPRESSED_BLOCK = 16 * 1024
_PLAIN_BLOCK = 64 * 1024
_LONGEST_OUTPUT = 256 * 1024  # at a time: a little input may become gigabytes


class NotCompressedError(Exception):
    """The data is not compressed by any method known here."""


class CutOffError(Exception):
    """Compressed data ends too early."""


class TrailingDataError(Exception):
    """Compressed data is whole, but something else stands behind it."""


class Decompressor(Protocol):
    """A decompressor for one stream, as `bz2`, `lzma` and `zstd` have them."""

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, /, max_length: int) -> bytes: ...


class _Gzip:
    """A decompressor for one member of a gzip file, which checks its sum."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def needs_input(self) -> bool:
        return not self._zlib.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)


def _zstd() -> Decompressor:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd

    return zstd.ZstdDecompressor()


_MAGIC: dict[bytes, tuple[str, Callable[[], Decompressor]]] = {
    b"\x1f\x8b": ("gzip", _Gzip),
    b"BZh": ("bzip2", bz2.BZ2Decompressor),
    b"\xfd7zXZ\0": ("xz", lzma.LZMADecompressor),
    b"\x28\xb5\x2f\xfd": ("zstd", _zstd),
}


def decompressed(read: Callable[[int], bytes], *, may_be_plain: bool) -> Iterator[bytes]:
    """Yield blocks of what the file holds; of a file that is not compressed, as it is.

    Args:
        read: returns the next bytes of the file, up to so many; nothing at its end.
        may_be_plain: whether the file need not be compressed.

    Raises:
        NotCompressedError: at once, if it is not but must be.
        CutOffError, TrailingDataError: when all that stands before has been yielded.
        Exception: of the kind of the format, for data that is not what was once compressed.
    """
    block = read(_COMPRESSED_BLOCK)
    while block and any(len(block) < len(magic) and magic.startswith(block) for magic in _MAGIC):
        more = read(_COMPRESSED_BLOCK)
        block += more
        if not more:
            break
    for magic, (name, new) in _MAGIC.items():
        if block.startswith(magic):
            yield from _streams(read, block, name, magic, new)
            return
    if block and not may_be_plain:
        raise NotCompressedError("its name ends as if it were compressed, but it is not")
    while block:
        yield block
        block = read(_PLAIN_BLOCK)


def _streams(
    read: Callable[[int], bytes],
    block: bytes,
    name: str,
    magic: bytes,
    new: Callable[[], Decompressor],
) -> Iterator[bytes]:
    """Decompress streams that stand one behind the other, as `cat a.gz b.gz` makes them."""
    while block:
        decompressor = new()
        while not decompressor.eof:
            if output := decompressor.decompress(block, max_length=_LONGEST_OUTPUT):
                yield output
            block = b""
            if decompressor.needs_input and not decompressor.eof:
                block = read(_COMPRESSED_BLOCK)
                if not block:
                    raise CutOffError(f"it ends within its {name} data")
        block = decompressor.unused_data.lstrip(b"\0")  # tapes pad with zeros
        while len(block) < len(magic) and (more := read(_COMPRESSED_BLOCK)):
            block = (block + more).lstrip(b"\0")
        if block and not block.startswith(magic):
            raise TrailingDataError(f"there is something else behind its {name} data")
