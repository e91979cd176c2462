"""The items of a job, which its worker iterates over while the engine may take some of them back.

`truncate(keep, out)` lets the worker start no item from `keep` on, and perhaps none before it
either. It returns the position from which on all items are the engine's. No lock is involved,
because there are millions of items and hardly ever one that is stolen. What makes it right:

The worker appends one outcome per item to a list `out` before it fetches the next item. The engine
first truncates and reads `len(out)` afterwards. To fetch the item at a position p, the worker must
have `len(out) == p`. So if everything from `keep` on was removed and the engine then reads a length
L < keep, no item from `keep` on was fetched, nor can it be any more. If it reads L >= keep, the
fetch of L may have come before the truncation, but that of L + 1 can not, for the length would be
L + 1 by then. So everything from max(keep, L + 1) on is the engine's, at once and for certain.

That argument needs both threads to agree on the order of "fetch or truncate" and "append or read".
With the GIL they do.
"""

from __future__ import annotations

import sys

from ...host.gil import HAS_GIL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from ...engine.source import Chunk


class CopiedItems:
    """A list of their own, for builds with the GIL. It can be truncated at any position.

    With the GIL every operation of a list happens at one point in time. A list iterator compares
    its position with the length of the list at each step (documented for all mutable sequences),
    so deleting the tail ends the iteration early, at no cost to the worker.
    """

    def __init__(self, items: list[Any]) -> None:
        self._items = items

    def __iter__(self) -> Iterator[Any]:
        return iter(self._items)

    def truncate(self, keep: int, out: list[Any]) -> int:
        del self._items[keep:]
        done = len(out)  # must be read after the deletion
        return keep if done < keep else done + 1


class SharedItems:
    """The end of a list or tuple that is not copied, for builds with the GIL.

    The list must not change as long as this is in use. It can't be truncated at a given position,
    but the iteration can be ended at once, by moving the iterator to the end of the list.
    """

    def __init__(self, base: list[Any] | tuple[Any, ...], start: int) -> None:
        self._count = len(base) - start
        iterator: Any = iter(base)
        self._iterator: Iterator[Any] = iterator
        self._move_to = iterator.__setstate__
        self._move_to(start)

    def __iter__(self) -> Iterator[Any]:
        return self._iterator

    def truncate(self, keep: int, out: list[Any]) -> int:
        if keep >= self._count:
            return keep
        self._move_to(sys.maxsize)
        return len(out) + 1  # must be read after the move


class ClearedItems:
    """A list of their own, for free-threaded builds. The iteration can be ended at once.

    There, a list iterator takes no lock, but `clear`, `append` and `+=` do. So the lock of `out`
    decides: either the worker's next `append` comes after our `+=`, and then the worker sees the
    empty list when it fetches; or it came before, and then we see the new length. `clear` is used
    because it does not move the items that are left, which a reader would have to follow.
    """

    def __init__(self, items: list[Any]) -> None:
        self._count = len(items)
        self._items = items

    def __iter__(self) -> Iterator[Any]:
        return iter(self._items)

    def truncate(self, keep: int, out: list[Any]) -> int:
        if keep >= self._count:
            return keep
        self._items.clear()
        out += ()
        return len(out) + 1


TruncatableItems = CopiedItems | SharedItems | ClearedItems


def truncatable_items(chunk: Chunk, *, is_fixed: bool) -> TruncatableItems:
    """Return the items of `chunk`; `is_fixed` says that its base is not going to change."""
    if not HAS_GIL:
        return ClearedItems(chunk.items())
    if is_fixed and chunk.stop - chunk.origin == len(chunk.base):
        return SharedItems(chunk.base, chunk.start - chunk.origin)
    return CopiedItems(chunk.items())
