"""Which occurrence of its value each item is."""

from __future__ import annotations

from collections.abc import Sequence

from .keys import Key, Mark


class Occurrences:
    """Numbers equal marks as they come; takes memory for every mark that has been seen."""

    def __init__(self) -> None:
        self._seen: set[Mark] = set()
        self._more: dict[Mark, int] = {}  # of those that were seen again: how often so far

    def keys(self, marks: list[Mark]) -> Sequence[Key]:
        """Return the key of each item: its mark, with a number if it was seen before."""
        fresh = set(marks)
        seen, more = self._seen, self._more
        if len(fresh) == len(marks) and seen.isdisjoint(fresh):
            seen |= fresh
            return marks
        keys: list[Key] = list(marks)
        for position, mark in enumerate(marks):
            if mark in seen:
                more[mark] = number = more.get(mark, 0) + 1
                keys[position] = mark, number
            else:
                seen.add(mark)
        return keys


def all_keys(marks: list[Mark]) -> tuple[Sequence[Key], dict[Key, int | None]]:
    """Return the keys of a whole input, and a dict that has them all."""
    unique: dict[Key, int | None] = dict.fromkeys(marks)
    if len(unique) == len(marks):
        return marks, unique
    keys = Occurrences().keys(marks)
    return keys, dict.fromkeys(keys)
