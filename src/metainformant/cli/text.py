"""The lines of a file as text."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from .record import BrokenInputError


class _Block(NamedTuple):
    """Consecutive lines that were read together."""

    bytes_before: int
    size: int
    lines_before: int
    lines: int


class Text:
    """The lines of a UTF-8 file, without their ends. Iterate once.

    Whole blocks are decoded and split, because that costs a fraction of the same line by line.

    Args:
        blocks: the bytes, cut anywhere.
        path: the name of the file.

    Attributes:
        path: the name of the file.
        line: the number of the line that was yielded last, from 1.
        bytes_read: how many bytes have been read, more than have been yielded.
        undecodable: the line that is not UTF-8; empty if there was none.
    """

    def __init__(self, blocks: Iterable[bytes], path: str) -> None:
        self.path = path
        self.line = 0
        self.bytes_read = 0
        self.undecodable = b""
        self._blocks = blocks
        self._block = _Block(0, 0, 0, 1)

    def __iter__(self) -> Iterator[str]:
        rest: list[bytes] = []  # what was read of a line whose end is not there yet
        for block in self._blocks:
            self.bytes_read += len(block)
            end = block.rfind(b"\n")
            if end >= 0:
                yield from self._lines(b"".join([*rest, block[:end]]))
                rest.clear()
            rest.append(block[end + 1 :])
        if last := b"".join(rest):
            yield from self._lines(last)

    @property
    def bytes_consumed(self) -> int:
        """The bytes of the lines that were yielded so far, about. Any thread may ask."""
        block = self._block
        part = min(max(self.line - block.lines_before, 0) / block.lines, 1)
        return block.bytes_before + round(block.size * part)

    def broken(self, what: str, fix: str, line: int | None = None) -> BrokenInputError:
        """Return the error for trouble in a line, by default in the last one."""
        return BrokenInputError(self.path, what, fix, self.line if line is None else line)

    def _lines(self, raw: bytes) -> Iterator[str]:
        if self.line == 0:
            raw = raw.removeprefix(codecs.BOM_UTF8)
        before = self._block.bytes_before + self._block.size
        self._block = _Block(before, len(raw) + 1, self.line, raw.count(b"\n") + 1)
        try:
            lines = raw.decode().split("\n")
        except UnicodeDecodeError:
            yield from self._lines_until_undecodable(raw)
            return
        for line in lines:
            self.line += 1
            yield line

    def _lines_until_undecodable(self, raw: bytes) -> Iterator[str]:
        for part in raw.split(b"\n"):
            self.line += 1
            try:
                line = part.decode()
            except UnicodeDecodeError as error:
                self.undecodable = part
                what = f"byte 0x{part[error.start]:02x} is not UTF-8"
                raise self.broken(what, "convert the file to UTF-8") from None
            yield line
