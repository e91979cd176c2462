"""The INPUT arguments: files with a known format, checked before anything starts."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Sequence
from typing import NamedTuple

import click

STDIN = "-"
# Names of descriptor 0, which has another file while functions run.
_NAMES_OF_STDIN = (STDIN, "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0")
PATHS = "paths"
SEQUENCE_FORMATS = ("fasta", "fastq")
FORMATS = ("lines", "jsonl", "csv", "tsv", "fasta", "fastq")

COMPRESSED = (".gz", ".bgz", ".bz2", ".xz", ".zst")
SEQUENCE_SUFFIXES = {
    **dict.fromkeys((".fa", ".fas", ".fasta", ".fna", ".faa", ".ffn", ".frn"), "fasta"),
    **dict.fromkeys((".fq", ".fastq"), "fastq"),
}
_SUFFIXES = {
    ".txt": "lines",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    **SEQUENCE_SUFFIXES,
}


class Input(NamedTuple):
    """A file to read. With the format `paths`, the path itself is its only record."""

    path: str
    format: str
    quoting: bool = False  # in TSV

    @property
    def is_stdin(self) -> bool:
        return self.format != PATHS and is_stdin(self.path)


def is_stdin(path: str) -> bool:
    """Return whether the path is a name of standard input."""
    return path in _NAMES_OF_STDIN


def is_compressed(path: str) -> bool:
    """Return whether a file is compressed, by its name."""
    return os.path.splitext(path.lower())[1] in COMPRESSED


def format_for_command(arguments: Sequence[str], chosen: str) -> str:
    """Return the format for a command of the shell, which by default gets paths."""
    return PATHS if chosen == "auto" and arguments and list(arguments) != [STDIN] else chosen


def resolve(arguments: Sequence[str], chosen: str, *, quoting: bool) -> list[Input]:
    """Find the files and their formats.

    Args:
        arguments: paths, or patterns if the format is `paths`.
        chosen: a format or "auto".
        quoting: whether TSV has cells in quotes.

    Raises:
        click.UsageError: for a file that is missing, unreadable or of unknown format.
    """
    if chosen == PATHS:
        return [Input(path, PATHS) for path in _expand(arguments)]
    return [
        Input(path, _format_of(path) if chosen == "auto" else chosen, quoting)
        for path in map(_checked, arguments or [STDIN])
    ]


def _expand(arguments: Sequence[str]) -> list[str]:
    if not arguments:
        raise click.UsageError(
            "--format paths needs at least one INPUT; to read paths from standard input, "
            "use --format lines"
        )
    paths: list[str] = []
    for argument in arguments:
        if glob.has_magic(argument) and not os.path.lexists(argument):
            found = sorted(glob.glob(argument, recursive=True))
            if not found:
                raise click.UsageError(f"the pattern {argument!r} matches nothing; check it")
            paths += found
        else:
            paths.append(_existing(argument))
    return paths


def _existing(path: str) -> str:
    if not os.path.exists(path):
        fix = "for a pattern use --format paths" if glob.has_magic(path) else "check the path"
        raise click.UsageError(f"there is no file {path!r}; {fix}")
    return path


def _checked(path: str) -> str:
    if is_stdin(path):
        if sys.stdin is None:
            raise click.UsageError("standard input is closed; name an INPUT")
        return path
    if os.path.isdir(_existing(path)):
        raise click.UsageError(
            f"{path!r} is a directory; name its files, or use --format paths '{path}/*'"
        )
    if not os.access(path, os.R_OK):
        raise click.UsageError(f"{path!r} can't be read; check its permissions")
    return path


def _format_of(path: str) -> str:
    if is_stdin(path):
        return "lines"
    stem, suffix = os.path.splitext(path.lower())
    if suffix in COMPRESSED:
        suffix = os.path.splitext(stem)[1]
    if suffix not in _SUFFIXES:
        raise click.UsageError(
            f"the name {path!r} does not tell the format; "
            f"add --format with one of: {', '.join(FORMATS)}, {PATHS}"
        )
    return _SUFFIXES[suffix]
