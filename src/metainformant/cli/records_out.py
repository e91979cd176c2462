"""Results as themselves, without index and name: text, FASTA and FASTQ.

Failures have no place in such files; the summary tells of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .columns import in_a_cell
from .failures import Failure
from .values import UnfitValueError


class Lines:
    """The values that the function returns, a line each.

    Text is written as it is, of a program that has ended (`subprocess.CompletedProcess`) its
    output, and anything else as JSON.
    """

    def success(self, index: int, name: str, value: Any, kept: Sequence[Any] = ()) -> str:
        output = getattr(value, "stdout", None)
        if isinstance(output, str):
            return output
        text = in_a_cell(value)
        return text if text.endswith("\n") else f"{text}\n"

    def failure(self, index: int, failure: Failure, kept: Sequence[Any] = ()) -> str:
        return ""

    def end(self) -> str:
        return ""


class Sequences:
    """Sequences, in FASTA or with their qualities in FASTQ.

    A result is an object with `name` (or `id`) and `sequence`, and `qualities` for FASTQ, as
    functions get them; or a list of these texts; for FASTA also the letters alone, which get the
    name of the record.
    """

    def __init__(self, *, with_qualities: bool) -> None:
        self._with_qualities = with_qualities

    def success(self, index: int, name: str, value: Any, kept: Sequence[Any] = ()) -> str:
        name, letters, qualities = _parts(name, value)
        for text in (name, letters, qualities):
            if "\n" in text or "\r" in text:
                raise UnfitValueError("a sequence, its name and its qualities have no line ends")
        if not self._with_qualities:
            return f">{name}\n{letters}\n"
        if len(qualities) != len(letters):
            raise UnfitValueError(
                f"FASTQ needs a quality for each letter, and there are {len(qualities)} for "
                f"{len(letters)}; return a record with its qualities, or write FASTA"
            )
        return f"@{name}\n{letters}\n+\n{qualities}\n"

    def failure(self, index: int, failure: Failure, kept: Sequence[Any] = ()) -> str:
        return ""

    def end(self) -> str:
        return ""


def _parts(name: str, value: Any) -> tuple[str, str, str]:
    """Return the name, the letters and the qualities of a result; the latter may be empty."""
    if isinstance(value, str):
        return name, value, ""
    letters = getattr(value, "sequence", None)
    if isinstance(letters, str):
        own = getattr(value, "name", None) or getattr(value, "id", None) or name
        return str(own), letters, getattr(value, "qualities", None) or ""
    if isinstance(value, (list, tuple)) and len(value) in (2, 3):
        texts = [part for part in value if isinstance(part, str)]
        if len(texts) == len(value):
            return texts[0], texts[1], texts[2] if len(texts) > 2 else ""
    raise UnfitValueError(
        f"the result is {type(value).__name__}; return a record as the function got it "
        "(changed, or not), a list of name, letters and perhaps qualities, the letters, or None to "
        "leave it out"
    )
