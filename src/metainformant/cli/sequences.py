"""FASTA and FASTQ."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dnaio

from .record import BrokenInputError, Record
from .text import Text


def read_fasta(text: Text) -> Iterator[Record]:
    empty: Record | None = None
    for record in _sequences(text, "fasta"):
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
        raise BrokenInputError(text.path, what, "the file was probably cut off; get it again")


def read_fastq(text: Text) -> Iterator[Record]:
    return _sequences(text, "fastq")


def _sequences(text: Text, format_: str) -> Iterator[Record]:
    name = ""
    try:
        # With an opener, dnaio takes the file for its own and closes what it puts around it.
        opened: Any = dnaio.open(text.path, fileformat=format_, opener=lambda *_: text.file)
        with opened as sequences:
            for sequence in sequences:
                name = sequence.id
                yield Record(name, sequence)
    except dnaio.FileFormatError as error:
        line = None if error.line is None else error.line + 1
        fix = "check the file there, or choose another --format"
        raise BrokenInputError(text.path, error.message.rstrip(". "), fix, line) from None
    except UnicodeDecodeError:
        where = f"after the record {name!r}" if name else "in the first record"
        what = f"{where}: bytes that are not UTF-8"
        raise BrokenInputError(text.path, what, "is this a sequence file?") from None
