"""The output: where rows go, and in which format."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import click

from .inputs import COMPRESSED, Input, is_stdin
from .row_writer import RawFile
from .rows import JsonLines, Rows, Table

ROWS: dict[str, Callable[[], Rows]] = {
    "jsonl": JsonLines,
    "csv": partial(Table, ","),
    "tsv": partial(Table, "\t"),
}


STDOUT = "-"
# Names of descriptor 1, which has another file while functions run.
_NAMES_OF_STDOUT = (STDOUT, "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")


def is_stdout(path: str) -> bool:
    """Return whether the path is a name of standard output."""
    return path in _NAMES_OF_STDOUT


def output_format_of(output: str, chosen: str, inputs: list[Input]) -> str:
    suffix = Path(output).suffix.lower()
    if suffix in COMPRESSED:
        raise click.UsageError(
            f"the output {output!r} can't be compressed; pipe the rows into gzip or the like"
        )
    if not is_stdout(output) and any(_same(output, entry.path) for entry in inputs):
        raise click.UsageError(f"{output!r} is an input too; choose another name for the output")
    if chosen != "auto":
        return chosen
    return suffix[1:] if suffix[1:] in ROWS else "jsonl"


def _same(output: str, path: str) -> bool:
    return not is_stdin(path) and os.path.exists(output) and os.path.samefile(output, path)


@contextmanager
def created(path: str) -> Iterator[RawFile]:
    try:
        file = open(path, "wb", buffering=0)  # noqa: SIM115  # closing has its own rules
    except OSError as error:
        raise click.UsageError(f"{path!r} can't be written: {error.strerror}") from None
    try:
        yield file
    finally:
        with suppress(OSError):  # rows were flushed before, and that error was reported
            file.close()
