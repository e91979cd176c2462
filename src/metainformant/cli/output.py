"""The output: where rows go, and in which format."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TextIO

import click

from .inputs import COMPRESSED, STDIN, Input
from .row_writer import RawFile
from .rows import JsonLines, Rows, Table

ROWS: dict[str, Callable[[], Rows]] = {
    "jsonl": JsonLines,
    "csv": partial(Table, ","),
    "tsv": partial(Table, "\t"),
}


def output_format_of(output: str, chosen: str, inputs: list[Input]) -> str:
    suffix = Path(output).suffix.lower()
    if suffix in COMPRESSED:
        raise click.UsageError(
            f"the output {output!r} can't be compressed; pipe the rows into gzip or the like"
        )
    if output != STDIN and any(_same(output, entry.path) for entry in inputs):
        raise click.UsageError(f"{output!r} is an input too; choose another name for the output")
    if chosen != "auto":
        return chosen
    return suffix[1:] if suffix[1:] in ROWS else "jsonl"


def _same(output: str, path: str) -> bool:
    return path != STDIN and os.path.exists(output) and os.path.samefile(output, path)


def raw(stdout: TextIO) -> RawFile:
    found: RawFile = getattr(stdout.buffer, "raw", stdout.buffer)  # no raw: it is in memory
    return found


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
