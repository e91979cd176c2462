"""The records of a file, by its format."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from .inputs import Input, is_stdin
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
    are_paths = None  # whether lines are names of files, and so the names of their records
    for line in text:
        line = line.rstrip("\r")
        if are_paths is None:
            are_paths = is_stdin(text.path) and _is_path(line)
        yield Record(line if are_paths and line else f"{text.path}:{text.line}", line)


def _is_path(line: str) -> bool:
    with suppress(ValueError):  # a null character
        return os.path.lexists(line)
    return False


def _jsonl(text: Text) -> Iterator[Record]:
    for line in text:
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            what, fix = f"not JSON ({error})", "every line must be one JSON value"
            raise text.broken(what, fix) from None
        yield Record(_name_in(value) or f"{text.path}:{text.line}", value)


def _name_in(value: Any) -> str:
    """Return what an object says that it is called; empty if it does not."""
    if isinstance(value, dict):
        for key in ("name", "id"):
            name = value.get(key)
            if isinstance(name, (str, int)) and not isinstance(name, bool):
                return str(name)
    return ""
