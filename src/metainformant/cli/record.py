"""A record, and the error for input that has no more of them."""

from __future__ import annotations

from typing import Any, NamedTuple

from .inputs import is_stdin


class Record(NamedTuple):
    """A value for the function, and the name that it has in the output."""

    name: str
    value: Any


class BrokenInputError(Exception):
    """Input that can't be read on from here."""

    def __init__(self, path: str, what: str, fix: str, line: int | None = None) -> None:
        where = "standard input" if is_stdin(path) else path
        at = f" line {line}:" if line is not None else ""
        super().__init__(f"{where}:{at} {what}; {fix}")
