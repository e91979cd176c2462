"""The lines of a file as text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from .record import BrokenInputError


class Text:
    """The lines of a UTF-8 file, each with its end. Iterate once.

    Attributes:
        path: the name of the file.
        line: the number of the last line, from 1.
    """

    def __init__(self, file: BinaryIO, path: str) -> None:
        self.path = path
        self.line = 0
        self.file = file

    def __iter__(self) -> Iterator[str]:
        for raw in self.file:
            self.line += 1
            try:
                line = raw.decode("utf-8-sig" if self.line == 1 else "utf-8")
            except UnicodeDecodeError as error:
                what = f"byte 0x{raw[error.start]:02x} is not UTF-8"
                raise self.broken(what, "convert the file to UTF-8") from None
            yield line

    def broken(self, what: str, fix: str, line: int | None = None) -> BrokenInputError:
        """Return the error for trouble in a line, by default in the last one."""
        return BrokenInputError(self.path, what, fix, self.line if line is None else line)
