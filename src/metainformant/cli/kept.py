"""The columns of the input that rows have too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from .inputs import Input
from .record import BrokenInputError

# The columns of each format; None: each file has its own.
_COLUMNS: dict[str, tuple[str, ...] | None] = {
    "csv": None,
    "tsv": None,
    "jsonl": None,
    "fasta": ("id", "name", "sequence"),
    "fastq": ("id", "name", "sequence", "qualities"),
}


class Kept:
    """The columns that `--keep` names.

    Args:
        names: the columns.
        inputs: the files that have them.

    Raises:
        click.UsageError: if records of some input have no such columns.
    """

    def __init__(self, names: Sequence[str], inputs: Sequence[Input]) -> None:
        self.names: list[str] = list(names)
        for entry in inputs:
            columns = _COLUMNS.get(entry.format, ())
            unknown = [name for name in names if columns is not None and name not in columns]
            if unknown:
                has = f"the columns {', '.join(columns)}" if columns else "no columns"
                raise click.UsageError(
                    f"--keep {unknown[0]}: records of the format {entry.format} have {has}"
                )

    def check(self, entry: Input, value: Any) -> None:
        """Raise BrokenInputError if the first row of a table lacks one of the columns."""
        if entry.format not in ("csv", "tsv"):
            return
        for name in self.names:
            if name not in value:
                what = f"there is no column {name!r} to keep"
                raise BrokenInputError(entry.path, what, f"its columns are {', '.join(value)}")

    def of(self, value: Any) -> list[Any]:
        """Return the kept columns of a record; None for what a JSON object lacks."""
        if isinstance(value, dict):
            return [value.get(name) for name in self.names]
        return [getattr(value, name, None) for name in self.names]
