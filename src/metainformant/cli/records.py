"""Files and standard input, read lazily, record by record."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import BinaryIO

from xopen import xopen

from .inputs import PATHS, Input
from .readers import read
from .record import BrokenInputError, Record
from .text import Text


class Records:
    """All records of some inputs. Iterate once, in any thread; all else may be asked from others.

    Args:
        inputs: the files to read, in this order.
        stdin: the standard input, where an input names it.

    Attributes:
        count: how many records were read so far.
    """

    def __init__(self, inputs: Sequence[Input], stdin: BinaryIO) -> None:
        self.count = 0
        self._stdin = stdin
        self._inputs = inputs
        self._ended = False
        self._sizes = [entry.size for entry in inputs]
        self._bytes_before = 0  # the bytes of the files that are read
        self._file: BinaryIO | None = None  # the one being read, as it is on disk

    def __iter__(self) -> Iterator[Record]:
        for entry, size in zip(self._inputs, self._sizes, strict=True):
            for record in self._read(entry):
                self.count += 1
                yield record
            self._bytes_before += size or 0
        self._ended = True

    def expected(self) -> int | None:
        """How many records there are in all, as far as can be told from the bytes read."""
        if self._ended:
            return self.count
        if all(entry.format == PATHS for entry in self._inputs):
            return len(self._inputs)
        if None in self._sizes:
            return None  # and don't ask a pipe, which blocks while it is read
        size = sum(known for known in self._sizes if known is not None)
        try:
            position = self._bytes_before + (self._file.tell() if self._file else 0)
        except ValueError:  # closed in this moment
            return None
        if not position:
            return None
        return max(self.count, round(self.count * size / position))

    def _read(self, entry: Input) -> Iterator[Record]:
        if entry.format == PATHS:
            yield Record(entry.path, entry.path)
            return
        before = self.count
        try:
            with ExitStack() as stack:
                if entry.is_stdin:
                    raw = self._stdin
                else:
                    self._file = raw = stack.enter_context(open(entry.path, "rb"))
                # threads=0: no helper processes, which a Ctrl-C in the terminal would hit too.
                file = stack.enter_context(xopen(raw, "rb", threads=0))
                yield from read(Text(file, entry.path), entry)
        except BrokenInputError:
            raise
        except Exception as error:  # every compression has exceptions of its own
            reason = str(error) or type(error).__name__
            fix = "is it damaged or cut off? Check the file and get it again"
            raise BrokenInputError(entry.path, f"can't be read: {reason}", fix) from error
        finally:
            self._file = None
        if self.count == before:
            raise BrokenInputError(entry.path, "has no records", "leave it out or fill it")
