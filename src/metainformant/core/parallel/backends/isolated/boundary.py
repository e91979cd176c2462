"""Which items of a chunk are still its worker's, when the engine takes some of them back."""

from __future__ import annotations

import sys


class Boundary:
    """The place in a chunk, sent to a worker, from which on the items are the engine's again.

    Pure: what is observed of the worker goes in as numbers. Positions count from 0, the first item
    of the chunk.
    """

    __slots__ = ("_first_cut", "stop")

    def __init__(self) -> None:
        self._first_cut = sys.maxsize  # from here on, items may have been forbidden in time or not
        self.stop: int = sys.maxsize  # items from here on are the engine's

    def cut(self, keep: int, completed: int) -> int:
        """Take back the items from `keep` on; return the position from which on none was started.

        The worker was forbidden to start them, and had finished `completed` items as it was seen
        after that. It looks whether an item is permitted only when the one before is finished: so
        with less than `keep` finished it will see in time that `keep` is forbidden. With more, it
        may be running the next one.
        """
        self._first_cut = min(self._first_cut, keep)
        cut = keep if completed < keep else completed + 1
        self.stop = min(self.stop, cut)
        return cut

    def is_in_flight(self, position: int, sent: int, *, permitted: bool) -> bool:
        """Return whether a worker that died after `position` of `sent` items was running one.

        Where the chunk was cut, either is possible. Then the item counts as run: better a loss that
        is reported than an item that is run twice.
        """
        if position >= min(sent, self.stop):
            return False
        return permitted or position >= self._first_cut
