"""Files and standard input, read lazily, record by record."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any, BinaryIO, NamedTuple

import dnaio
from xopen import xopen

from .inputs import PATHS, Input, is_stdin

# A whole chromosome may be one cell; the default is 128 KiB. The limit must fit a C long.
_LONGEST_CELL = 2**31 - 1


class Record(NamedTuple):
    """What the function gets, and the name that it has in the output."""

    name: str
    value: Any


class BrokenInputError(Exception):
    """Input that can't be read on from here."""

    def __init__(self, path: str, what: str, fix: str, line: int | None = None) -> None:
        where = "standard input" if is_stdin(path) else path
        at = f" line {line}:" if line is not None else ""
        super().__init__(f"{where}:{at} {what}; {fix}")


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
                yield from _READERS[entry.format](file, entry.path)
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


def _text(file: BinaryIO, path: str) -> Iterator[str]:
    for number, raw in enumerate(file, 1):
        try:
            line = raw.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            what = f"byte 0x{raw[error.start]:02x} is not UTF-8"
            fix = "convert the file to UTF-8, or choose another --format"
            raise BrokenInputError(path, what, fix, number) from None
        yield line


def _lines(file: BinaryIO, path: str) -> Iterator[Record]:
    for number, line in enumerate(_text(file, path), 1):
        yield Record(f"{path}:{number}", line.rstrip("\r\n"))


def _jsonl(file: BinaryIO, path: str) -> Iterator[Record]:
    for number, line in enumerate(_text(file, path), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            what, fix = f"not JSON ({error})", "every line must be one JSON value"
            raise BrokenInputError(path, what, fix, number) from None
        yield Record(f"{path}:{number}", value)


def _csv(file: BinaryIO, path: str) -> Iterator[Record]:
    return _table(file, path, ",")


def _tsv(file: BinaryIO, path: str) -> Iterator[Record]:
    return _table(file, path, "\t")


def _table(file: BinaryIO, path: str, delimiter: str) -> Iterator[Record]:
    csv.field_size_limit(_LONGEST_CELL)
    reader = csv.reader(_text(file, path), delimiter=delimiter, strict=True)
    header: list[str] = []
    first = 1  # the line on which the row starts: a quoted field may hold line ends
    try:
        for row in reader:
            if not header:
                header = row
                if row and row[0].startswith(">"):
                    raise BrokenInputError(path, "this looks like FASTA", "use --format fasta", 1)
                if twice := {name for name in row if row.count(name) > 1}:
                    what = f"the header has the column {min(twice)!r} twice"
                    raise BrokenInputError(path, what, "give every column its own name", first)
            elif row:
                if len(row) != len(header):
                    what = f"{len(row)} fields where the header has {len(header)}"
                    fix = "mend the row, or quote fields that hold the separator"
                    raise BrokenInputError(path, what, fix, first)
                yield Record(f"{path}:{first}", dict(zip(header, row, strict=True)))
            first = reader.line_num + 1
    except csv.Error as error:
        fix = 'close every quote, and double those inside quotes ("")'
        raise BrokenInputError(path, str(error), fix, first) from None


def _fasta(file: BinaryIO, path: str) -> Iterator[Record]:
    empty: Record | None = None
    for record in _sequences(file, path, "fasta"):
        if empty is not None:
            yield empty
            empty = None
        if record.value.sequence:
            yield record
        else:
            empty = record
    # An empty record in the middle is odd but whole. At the end it is where a file was cut.
    if empty is not None:
        what = f"the last record, {empty.name!r}, has no sequence"
        raise BrokenInputError(path, what, "the file was probably cut off; get it again")


def _fastq(file: BinaryIO, path: str) -> Iterator[Record]:
    return _sequences(file, path, "fastq")


def _sequences(file: BinaryIO, path: str, format_: str) -> Iterator[Record]:
    name = ""
    try:
        # With an opener, dnaio takes the file for its own and closes what it puts around it.
        opened: Any = dnaio.open(path, fileformat=format_, opener=lambda *_: file)
        with opened as sequences:
            for sequence in sequences:
                name = sequence.id
                yield Record(name, sequence)
    except dnaio.FileFormatError as error:
        line = None if error.line is None else error.line + 1
        fix = "check the file there, or choose another --format"
        raise BrokenInputError(path, error.message.rstrip(". "), fix, line) from None
    except UnicodeDecodeError:
        where = f"after the record {name!r}" if name else "in the first record"
        what = f"{where}: bytes that are not UTF-8"
        raise BrokenInputError(path, what, "is this a sequence file?") from None


_READERS: dict[str, Callable[[BinaryIO, str], Iterator[Record]]] = {
    "lines": _lines,
    "jsonl": _jsonl,
    "csv": _csv,
    "tsv": _tsv,
    "fasta": _fasta,
    "fastq": _fastq,
}
