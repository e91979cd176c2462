"""A set of marks that takes few bytes for each, and may rarely take a new one for an old one.

Each mark is 44 bits of its hash: 12 choose a table, 32 are kept in it by open addressing with
linear probing (Knuth, The Art of Computer Programming, volume 3, section 6.4). A table is 35 to
70 % full, so a mark takes 6 to 12 bytes; a Python set takes more than 100. Of 1,000,000 marks, the
chance is 3 % that one is taken for another.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable

from .keys import Mark

_TABLES_BITS = 12
_SMALLEST = 16  # entries of a table; a power of two, as all sizes
_MAX_LOAD = 0.7
# The golden ratio in 64 bits: spreads hashes of consecutive integers (Knuth, the same section).
_FACTOR = 0x9E3779B97F4A7C15
_MASK = 2**64 - 1


class SeenMarks:
    """Marks that were seen. For one thread."""

    def __init__(self) -> None:
        tables = 1 << _TABLES_BITS
        self._tables = [array("I", bytes(4 * _SMALLEST)) for _ in range(tables)]  # 0: no entry
        self._room = [int(_SMALLEST * _MAX_LOAD)] * tables  # how many more there may be in each

    def add(self, marks: Iterable[Mark]) -> list[int]:
        """Add marks; return the positions of those that were there, also since they are equal."""
        tables, room = self._tables, self._room
        there = []
        for position, mark in enumerate(marks):
            spread = hash(mark) * _FACTOR & _MASK
            number = spread >> 52
            table = tables[number]
            entry = spread >> 20 & 0xFFFFFFFF or 1
            last = len(table) - 1
            at = entry & last
            while found := table[at]:
                if found == entry:
                    there.append(position)
                    break
                at = at + 1 & last
            else:
                table[at] = entry
                room[number] -= 1
                if not room[number]:
                    self._grow(number)
        return there

    def _grow(self, number: int) -> None:
        entries = self._tables[number]
        size = 2 * len(entries)
        self._tables[number] = table = array("I", bytes(4 * size))
        for entry in filter(None, entries):
            at = entry & size - 1
            while table[at]:
                at = at + 1 & size - 1
            table[at] = entry
        self._room[number] = int(size * _MAX_LOAD) - int(size // 2 * _MAX_LOAD)
