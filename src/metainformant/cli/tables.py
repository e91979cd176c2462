"""CSV and TSV: a header, and a dict for each row."""

from __future__ import annotations

import csv
from collections.abc import Iterator

from .record import Record
from .text import Text

# A whole chromosome may be one cell; the default is 128 KiB. The limit must fit a C long.
_LONGEST_CELL = 2**31 - 1


def read_quoted(text: Text, delimiter: str) -> Iterator[Record]:
    """Read rows whose cells may stand in quotes, and then hold line ends."""
    csv.field_size_limit(_LONGEST_CELL)
    reader = csv.reader((f"{line}\n" for line in text), delimiter=delimiter, strict=True)
    table = _Table(text, "mend the row, or quote cells that hold the separator")
    first = 1  # the line on which the row starts
    try:
        for cells in reader:
            yield from table.row(cells, first)
            first = reader.line_num + 1
    except csv.Error as error:
        fix = 'close every quote, and double those inside quotes ("")'
        raise text.broken(str(error), fix, first) from None


def read_unquoted(text: Text) -> Iterator[Record]:
    """Read rows of cells between tabs, where quotes are text like any other."""
    table = _Table(text, "mend the row, or add --quoting if cells stand in quotes")
    for line in text:
        stripped = line.rstrip("\r")
        yield from table.row(stripped.split("\t") if stripped else [], text.line)


class _Table:
    """A converter of cells into records. The first row that is not blank is the header."""

    def __init__(self, text: Text, fix: str) -> None:
        self._text = text
        self._fix = fix
        self._header: list[str] = []

    def row(self, cells: list[str], line: int) -> Iterator[Record]:
        """Yield the record of a row: none for the header, and for blank lines."""
        if not cells:
            return
        if not self._header:
            self._check_header(cells, line)
            self._header = cells
            return
        if len(cells) != len(self._header):
            fields = "field" if len(cells) == 1 else "fields"
            what = f"{len(cells)} {fields} where the header has {len(self._header)}"
            raise self._text.broken(what, self._fix, line)
        yield Record(f"{self._text.path}:{line}", dict(zip(self._header, cells, strict=True)))

    def _check_header(self, cells: list[str], line: int) -> None:
        if cells[0].startswith(">"):
            raise self._text.broken("this looks like FASTA", "use --format fasta", line)
        if twice := {name for name in cells if cells.count(name) > 1}:
            what = f"the header has the column {min(twice)!r} twice"
            raise self._text.broken(what, "give every column its own name", line)
