"""Two files of sequences that are read in step, such as the reads of both ends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import BinaryIO

import click

from .inputs import SEQUENCE_FORMATS, Input
from .record import BrokenInputError, Record
from .records import Records


class Pairs:
    """The records of two inputs as pairs, which have the name that both have.

    Iterate once, in any thread; any other may ask for the rest. The attributes are those of
    `Records`, and count pairs.

    Args:
        inputs: the two files.
        stdin: the standard input, where an input names it.
    """

    def __init__(self, inputs: Sequence[Input], stdin: BinaryIO) -> None:
        self._paths = [entry.path for entry in inputs]
        self._first, self._second = (Records([entry], stdin) for entry in inputs)
        self.count: int = 0
        self.ended: bool = False
        self.broken: bool = False

    def __iter__(self) -> Iterator[Record]:
        try:
            seconds = iter(self._second)
            for first in self._first:
                second = next(seconds, None)
                if second is None:
                    raise self._ended_early(1, first)
                name = _name(first)
                if _name(second) != name:
                    what = (
                        f"record {self.count + 1:,} is {second.name!r}, but that of "
                        f"{self._paths[0]} is {first.name!r}"
                    )
                    raise BrokenInputError(self._paths[1], what, _FIX)
                self.count += 1
                yield Record(name, (first.value, second.value))
            if (second := next(seconds, None)) is not None:
                raise self._ended_early(0, second)
        except BrokenInputError:
            self.broken = True
            raise
        self.ended = True

    def expected(self) -> int | None:
        """Return how many pairs there are in all, as far as the bytes read so far tell."""
        return self.count if self.ended else self._first.expected()

    def _ended_early(self, position: int, other: Record) -> BrokenInputError:
        what = (
            f"ends after record {self.count:,}, but {self._paths[1 - position]} goes on with "
            f"{other.name!r}"
        )
        return BrokenInputError(self._paths[position], what, _FIX)


_FIX = "both files must have the same records in the same order"


def check_pair(inputs: Sequence[Input]) -> None:
    """Refuse inputs that can't be read in step.

    Raises:
        click.UsageError: unless they are two files of sequences.
    """
    if len(inputs) != 2 or any(entry.format not in SEQUENCE_FORMATS for entry in inputs):
        raise click.UsageError("--paired needs two INPUTs, each FASTA or FASTQ")
    if inputs[0].path == inputs[1].path:
        raise click.UsageError(f"--paired needs two files, and {inputs[0].path!r} is named twice")


def _name(record: Record) -> str:
    """Return the id without the number of the end."""
    name = record.name
    return name[:-2] if name.endswith(("/1", "/2")) else name
