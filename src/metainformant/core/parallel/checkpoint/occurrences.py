"""Which occurrence of its value each item is."""

from __future__ import annotations

from collections.abc import Sequence

from .keys import Key, Mark
from .seen import SeenMarks

# Marks that are kept as they are, which is faster, before they take less memory each.
_FEW = 1 << 16


class Occurrences:
    """Numbers equal marks as they come; takes some bytes of memory for each mark that was seen.

    Of many, it may rarely take a mark for one that was seen: the first of its kind then has the
    number of a second one. Numbers of one kind still differ.
    """

    def __init__(self) -> None:
        self._few: set[Mark] = set()
        self._seen: SeenMarks | None = None  # all of them, once there are more than a few
        self._more: dict[Mark, int] = {}  # of those that were seen again: how often so far

    def keys(self, marks: list[Mark]) -> Sequence[Key]:
        """Return the key of each item: its mark, with a number if it was seen before."""
        again = self._seen.add(marks) if self._seen is not None else self._add_to_few(marks)
        if not again:
            return marks
        keys: list[Key] = list(marks)
        for position in again:
            mark = marks[position]
            self._more[mark] = number = self._more.get(mark, 0) + 1
            keys[position] = mark, number
        return keys

    def _add_to_few(self, marks: list[Mark]) -> list[int]:
        few, fresh, again = self._few, set(marks), []
        if len(fresh) == len(marks) and few.isdisjoint(fresh):
            few |= fresh
        else:
            for position, mark in enumerate(marks):
                if mark in few:
                    again.append(position)
                few.add(mark)
        if len(few) > _FEW:
            self._seen = SeenMarks()
            self._seen.add(few)
            self._few = set()
        return again


def all_keys(marks: list[Mark]) -> tuple[Sequence[Key], dict[Key, int | None]]:
    """Return the keys of a whole input, and a dict that has them all."""
    unique: dict[Key, int | None] = dict.fromkeys(marks)
    if len(unique) == len(marks):
        return marks, unique
    keys = Occurrences().keys(marks)
    return keys, dict.fromkeys(keys)
