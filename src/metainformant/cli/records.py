"""The records of all inputs, read lazily."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import BinaryIO

from .inputs import PATHS, Input
from .kept import Kept
from .readers import read
from .record import BrokenInputError, Record
from .source import Source, size_of


class Records:
    """The records of some inputs. Iterate once, in any thread; any other may ask for the rest.

    Args:
        inputs: the files to read, in this order.
        stdin: the standard input, where an input names it.
        kept: the columns that each table must have.

    Attributes:
        count: how many records were read so far.
        ended: whether all were read.
        broken: whether reading ended at an error.
    """

    def __init__(self, inputs: Sequence[Input], stdin: BinaryIO, kept: Kept | None = None) -> None:
        self._kept = kept
        self.count: int = 0
        self.ended: bool = False
        self.broken: bool = False
        self._inputs = inputs
        self._stdin = stdin
        self._are_paths = all(entry.format == PATHS for entry in inputs)
        self._sizes = [size_of(entry, stdin) for entry in inputs]
        known = [size for size in self._sizes if size is not None]
        self._size = sum(known) if len(known) == len(inputs) else None
        self._bytes_before = 0  # the bytes of the files that have been read
        self._source: Source | None = None  # the one that is read, or where reading ended

    def __iter__(self) -> Iterator[Record]:
        for entry, size in zip(self._inputs, self._sizes, strict=True):
            try:
                is_first = True
                for record in self._read(entry):
                    if is_first and self._kept is not None:
                        self._kept.check(entry, record.value)
                    is_first = False
                    self.count += 1
                    yield record
            except BrokenInputError:
                self.broken = True
                raise
            self._source = None
            self._bytes_before += size or 0
        self.ended = True

    def expected(self) -> int | None:
        """Return how many records there are in all, as far as the bytes read so far tell."""
        if self.ended:
            return self.count
        if self._are_paths:
            return len(self._inputs)
        if self._size is None:
            return None
        source, before, count = self._source, self._bytes_before, self.count
        position = before + (source.position if source else 0)
        if not position or not count:
            return None
        return max(count, round(count * self._size / position))

    def _read(self, entry: Input) -> Iterator[Record]:
        if entry.format == PATHS:
            yield Record(entry.path, entry.path)
            return
        before = self.count
        line = 0
        try:
            with Source(entry, self._stdin) as source:
                self._source = source
                try:
                    yield from read(source.text, entry)
                finally:
                    line = source.text.line
                if source.trailing is not None:
                    raise source.trailing
        except BrokenInputError:
            raise
        except Exception as error:  # every compression has exceptions of its own
            what = f"can't be read: {str(error) or type(error).__name__}"
            fix = "is it damaged or cut off? Check the file and get it again"
            raise BrokenInputError(entry.path, what, fix, line + 1) from error
        if self.count == before:
            raise BrokenInputError(entry.path, "has no records", "leave it out or fill it")
