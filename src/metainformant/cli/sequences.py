"""FASTA and FASTQ.

Both are read line by line, so that every error names its line, every whole record before it is
kept, and headers may be any text. The readers of dnaio, which are several times as fast, decode
ahead of the records that they return and accept ASCII only in FASTQ.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from .record import BrokenInputError, Record
from .text import Text

_LONGEST_SHOWN = 30


@dataclass(slots=True)
class Sequence:
    """A sequence, as functions get it.

    Attributes:
        id: the first word of the header.
        name: the whole header.
        sequence: the letters, in one line.
        qualities: the qualities in ASCII, as many as letters; None for FASTA.
    """

    id: str
    name: str
    sequence: str
    qualities: str | None = None

    def __len__(self) -> int:
        return len(self.sequence)


def read_fasta(text: Text) -> Iterator[Record]:
    """Read sequences that may be wrapped. Lines that begin with # are comments."""
    name: str | None = None
    parts: list[str] = []
    try:
        for line in text:
            line = line.strip()
            if line[:1] == ">":
                if name is not None:
                    yield _record(name, "".join(parts))
                name, parts = line[1:], []
            elif not line or line[0] == "#":
                continue
            elif name is None:
                what = f"expected '>' at the start of a record, but found {_shorten(line)}"
                raise text.broken(what, "check the file there, or choose another --format")
            else:
                parts.append(line)
    except BrokenInputError:
        # The record before is whole if the line that can't be read is the header of the next.
        if name is not None and text.undecodable[:1] == b">":
            yield _record(name, "".join(parts))
        raise
    if name is None:
        return
    # An empty record in the middle is odd but whole. At the end it is where a file was cut.
    if not parts:
        what = f"the last record, {_id(name)!r}, has no sequence"
        raise text.broken(what, "the file was probably cut off; get it again")
    yield _record(name, "".join(parts))


def read_fastq(text: Text) -> Iterator[Record]:
    """Read sequences with their qualities. Both may be wrapped, into as many lines each."""
    blocks = text.blocks()
    lines: list[str] = []
    for block in blocks:
        lines += block
        end = len(lines) - len(lines) % 4
        headers, sequences, pluses, qualities = (lines[start:end:4] for start in range(4))
        # Nearly all files have four lines per record, which take a third of the time in this way.
        if not _are_plain(headers, sequences, pluses, qualities):
            yield from _read_any_fastq(_Lines(text, lines, blocks))
            return
        del lines[:end]
        for header, letters, quality in zip(headers, sequences, qualities, strict=True):
            text.line += 4
            name = header[1:]
            words = name.split(None, 1)
            identifier = words[0] if words else ""
            yield Record(identifier, Sequence(identifier, name, letters, quality))
    yield from _read_any_fastq(_Lines(text, lines, blocks))


def _are_plain(
    headers: list[str], sequences: list[str], pluses: list[str], qualities: list[str]
) -> bool:
    """Return whether these are lines of records of four lines."""
    return (
        pluses.count("+") == len(pluses)
        and all(header[:1] == "@" for header in headers)
        and list(map(len, sequences)) == list(map(len, qualities))
    )


class _Lines:
    """The lines from some place on, without their ends."""

    def __init__(self, text: Text, found: list[str], blocks: Iterator[list[str]]) -> None:
        self._text = text
        self._lines = chain(found, chain.from_iterable(blocks))

    def next(self) -> str | None:
        line = next(self._lines, None)
        if line is None:
            return None
        self._text.line += 1
        return line.rstrip("\r")

    def within(self, name: str) -> str:
        """Return the next line, of a record that can't end here."""
        line = self.next()
        if line is None:
            what = f"the file ends within the record {_id(name)!r}"
            raise self.broken(what, "it was probably cut off; get it again")
        return line

    def broken(self, what: str, fix: str) -> BrokenInputError:
        return self._text.broken(what, fix)


def _read_any_fastq(lines: _Lines) -> Iterator[Record]:
    while (header := lines.next()) is not None:
        if not header:
            continue
        if header[0] != "@":
            what = f"expected '@' at the start of a record, but found {_shorten(header)}"
            raise lines.broken(what, "check the file there, or choose another --format")
        name = header[1:]
        sequence, count = _letters(lines, name)
        qualities = lines.within(name) if sequence else lines.next() or ""
        while len(qualities) < len(sequence) and count > 1:
            qualities += lines.within(name)
            count -= 1
        if len(qualities) != len(sequence):
            what = (
                f"the record {_id(name)!r} has {len(sequence)} letters, "
                f"but {len(qualities)} qualities"
            )
            raise lines.broken(what, "check the file there; was it cut off?")
        yield _record(name, sequence, qualities)


def _letters(lines: _Lines, name: str) -> tuple[str, int]:
    """Read up to the line that begins with +; return the sequence and how many lines it had."""
    sequence = lines.within(name)
    count = 1
    while (line := lines.within(name))[:1] != "+":
        if line[:1] == "@":
            what = f"expected '+' after the letters of {_id(name)!r}, but found {_shorten(line)}"
            raise lines.broken(what, "check the file there, or choose another --format")
        sequence += line
        count += 1
    if len(line) > 1 and line[1:] != name:
        what = f"{_shorten(line)} does not repeat the header {_shorten(name)}"
        raise lines.broken(what, "check the file there")
    return sequence, count


def _record(name: str, sequence: str, qualities: str | None = None) -> Record:
    identifier = _id(name)
    return Record(identifier, Sequence(identifier, name, sequence, qualities))


def _id(name: str) -> str:
    words = name.split(maxsplit=1)
    return words[0] if words else ""


def _shorten(line: str) -> str:
    return repr(line if len(line) <= _LONGEST_SHOWN else f"{line[:_LONGEST_SHOWN]}...")
