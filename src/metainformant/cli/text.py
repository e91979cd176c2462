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
        self.line: int = 0
        self.bytes_read: int = 0
        self.undecodable: bytes = b""
        self._blocks = blocks
        self._block = _Block(0, 0, 0, 0)

    def __iter__(self) -> Iterator[str]:
        for lines in self.blocks():
            for line in lines:
                self.line += 1
                yield line

    def blocks(self) -> Iterator[list[str]]:
        """Yield the lines that were read together. Who takes them this way counts in `line`."""
        rest: list[bytes] = []  # what was read of a line whose end is not there yet
        for block in self._blocks:
            self.bytes_read += len(block)
            end = block.rfind(b"\n")
            if end >= 0:
                yield from self._decoded(b"".join([*rest, block[:end]]))
                rest.clear()
            rest.append(block[end + 1 :])
        if last := b"".join(rest):
            yield from self._decoded(last)

    @property
    def bytes_consumed(self) -> int:
        """The bytes of the lines that were yielded so far, about. Any thread may ask."""
        block = self._block
        part = min(max(self.line - block.lines_before, 0) / max(block.lines, 1), 1)
        return block.bytes_before + round(block.size * part)

    def broken(self, what: str, fix: str, line: int | None = None) -> BrokenInputError:
        """Return the error for trouble in a line, by default in the last one."""
        return BrokenInputError(self.path, what, fix, self.line if line is None else line)

    def _decoded(self, raw: bytes) -> Iterator[list[str]]:
        if not self._block.size:
            raw = raw.removeprefix(codecs.BOM_UTF8)
        before = self._block
        self._block = _Block(
            before.bytes_before + before.size,
            len(raw) + 1,
            before.lines_before + before.lines,
            raw.count(b"\n") + 1,
        )
        try:
            yield raw.decode().split("\n")
        except UnicodeDecodeError as error:
            start = raw.rfind(b"\n", 0, error.start) + 1
            if start:
                yield raw[: start - 1].decode().split("\n")
            self.line = self._block.lines_before + raw.count(b"\n", 0, start) + 1
            self.undecodable = raw[start:].partition(b"\n")[0]
            what = f"byte 0x{raw[error.start]:02x} is not UTF-8"
            raise self.broken(what, "convert the file to UTF-8") from None
