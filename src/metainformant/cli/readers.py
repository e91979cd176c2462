"""The records of a file, by its format."""

from __future__ import annotations

import json
from collections.abc import Iterator

from .inputs import Input
from .record import Record
from .sequences import read_fasta, read_fastq
from .tables import read_quoted, read_unquoted
from .text import Text


def read(text: Text, entry: Input) -> Iterator[Record]:
    """Read the records of an input.

    Raises:
        BrokenInputError: where they end too early; the records before have been yielded.
    """
    match entry.format:
        case "jsonl":
            return _jsonl(text)
        case "csv":
            return read_quoted(text, ",")
        case "tsv":
            return read_quoted(text, "\t") if entry.quoting else read_unquoted(text)
        case "fasta":
            return read_fasta(text)
        case "fastq":
            return read_fastq(text)
    return _lines(text)


def _lines(text: Text) -> Iterator[Record]:
    for line in text:
        yield Record(f"{text.path}:{text.line}", line.rstrip("\r"))


def _jsonl(text: Text) -> Iterator[Record]:
    for line in text:
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            what, fix = f"not JSON ({error})", "every line must be one JSON value"
            raise text.broken(what, fix) from None
        yield Record(f"{text.path}:{text.line}", value)
