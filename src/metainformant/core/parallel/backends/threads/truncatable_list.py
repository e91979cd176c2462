"""A list of items that one thread consumes while another may shorten it.

The consumer iterates; the watcher calls `truncate`. No lock is involved, because there are millions
of items and hardly any cuts. What makes it right:

The consumer appends one outcome per item to a list `out` before it fetches the next item. The
watcher first cuts the tape at `keep` and reads `len(out)` afterwards. To fetch the item at a
position p the consumer must have `len(out) == p`. So if the watcher reads a length L < keep, no
item from `keep` on was fetched, nor can it be any more. If it reads L >= keep, the fetch of L may
have come before the cut, but that of L + 1 can not, for the length would be L + 1 by then. So
everything from max(keep, L + 1) on belongs to the watcher, at once and for certain.

That argument needs the two threads to agree on the order of "fetch or cut" and "append or read".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ...host.gil import HAS_GIL

_END: Any = object()  # marks the end of a PoppingList


class IteratingList:
    """For builds with the GIL, under which every list operation happens at one point in time.

    A list iterator compares its position with the length of the list at each step (documented
    for all mutable sequences), so deleting the tail ends the iteration early. This costs the
    consumer nothing over a plain loop.
    """

    def __init__(self, items: list[Any]) -> None:
        self._items = items  # consumed by the worker, shortened by the watcher

    def __iter__(self) -> Iterator[Any]:
        return iter(self._items)

    def truncate(self, keep: int) -> None:
        del self._items[keep:]


class PoppingList:
    """For free-threaded builds, where list iterators read without the list's lock.

    Fetching is `list.pop` here and cutting is `del`; both take the lock of the same list, so
    either the fetch came first, and then the watcher sees all that the consumer did before it, or
    the cut did, and then the item is gone. About 20 ns per item.
    """

    def __init__(self, items: list[Any]) -> None:
        self._stop = len(items)  # owned by the watcher
        # Reversed, so that `pop` takes the next item, and the end mark goes last.
        items.append(_END)
        items.reverse()
        self._items = items

    def __iter__(self) -> Iterator[Any]:
        pop = self._items.pop
        while (item := pop()) is not _END:
            yield item

    def truncate(self, keep: int) -> None:
        if keep < self._stop:
            del self._items[1 : self._stop - keep + 1]
            self._stop = keep


TruncatableList: type[IteratingList] | type[PoppingList] = IteratingList if HAS_GIL else PoppingList
