"""Which occurrence of its value each item is."""

from __future__ import annotations

from collections.abc import Sequence

from .keys import Key, Mark


class Occurrences:
    """Numbers equal marks as they come; takes memory for every mark that has been seen."""

    def __init__(self) -> None:
        self._seen: set[Mark] = set()
        self._more: dict[Mark, int] = {}  # of those that were seen again: how often so far

    def keys(self, marks: list[Mark], *, is_last: bool = False) -> Sequence[Key]:
        """Return the key of each item: its mark, with a number if it was seen before.

        If it `is_last`, nothing will come behind: then most inputs need not be remembered.
        """
        fresh = set(marks)
        if len(fresh) == len(marks) and self._seen.isdisjoint(fresh):
            if not is_last:
                self._seen |= fresh
            return marks
        keys: list[Key] = list(marks)
        seen, more = self._seen, self._more
        for position, mark in enumerate(marks):
            if mark in seen:
                more[mark] = number = more.get(mark, 0) + 1
                keys[position] = mark, number
            else:
                seen.add(mark)
        return keys
