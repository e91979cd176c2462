"""The port to the input, which is read in chunks.

A chunk does not copy its items: it is a window onto a list whose items are never changed. So
cutting it again, when work is taken back from one worker for another, costs nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False
if not TYPE_CHECKING:
    Protocol = object  # what is described here is for type checkers
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, Protocol


class Chunk:
    """Consecutive items of the input: those with the indices from `start` up to `stop`.

    Never changed.

    Attributes:
        base: the list that has the items; `base[0]` is the item with the index `origin`.
        attempt: which try this is, counted from 1.
        past: the errors of earlier attempts, with their numbers.
        throttled: how many of the earlier attempts a service has refused.
    """

    __slots__ = ("attempt", "base", "origin", "past", "start", "stop", "throttled")

    def __init__(
        self,
        base: list[Any] | tuple[Any, ...],
        origin: int,
        start: int,
        stop: int,
        attempt: int = 1,
        past: tuple[tuple[int, str], ...] = (),
        throttled: int = 0,
    ) -> None:
        self.base: list[Any] | tuple[Any, ...] = base
        self.origin: int = origin
        self.start: int = start
        self.stop: int = stop
        self.attempt: int = attempt
        self.past: tuple[tuple[int, str], ...] = past
        self.throttled: int = throttled

    def part(self, start: int, stop: int) -> Chunk:
        """Return those of the items that have the indices from `start` up to `stop`."""
        past, throttled = self.past, self.throttled
        return Chunk(self.base, self.origin, start, stop, self.attempt, past, throttled)

    def with_attempt(self, attempt: int) -> Chunk:
        """Return the same items, in another attempt."""
        start, stop, past = self.start, self.stop, self.past
        return Chunk(self.base, self.origin, start, stop, attempt, past, self.throttled)

    def items(self) -> list[Any]:
        part = self.base[self.start - self.origin : self.stop - self.origin]
        return part if type(part) is list else list(part)

    def item(self, index: int) -> Any:
        return self.base[index - self.origin]

    def forget(self) -> None:
        """Drop the references to the items. Only for input that nobody else has."""
        if isinstance(self.base, list):
            count = self.stop - self.start
            first = self.start - self.origin
            self.base[first : first + count] = [None] * count


class Source(Protocol):
    """The origin of chunks. Owned by the thread that runs the engine."""

    @property
    def left(self) -> int | None:
        """The number of items that are still to be taken; None if that is not known."""
        ...

    @property
    def error(self) -> BaseException | None:
        """The exception with which the iterable ended, if any; final once all was taken."""
        ...

    @property
    def is_held(self) -> bool:
        """Whether nothing more may be read until earlier results are taken."""
        ...

    def take(self, size: int) -> Chunk | None:
        """Return the next chunk, of at most `size` items; None if there is none (for now)."""
        ...

    def next_wakeup(self, now: float) -> float:
        """Return when to try again after `take` had nothing, if nobody wakes the engine."""
        ...

    def close(self) -> None:
        """Let nothing more be read. Any thread may call this."""
        ...

    def rest(self) -> Chunk | None:
        """Return all that was read and not taken, for a map that stops; None if nothing."""
        ...

    def waiting(self, count: int) -> None:
        """Learn how many of the items that were taken wait for something else than a worker."""
        ...


class ListSource:
    """The chunks of a list that is in memory as a whole.

    Args:
        items: the list.
        first: the index of its first item.
        attempt: which try this is.
    """

    is_held = False
    error = None  # the list was made before

    def __init__(self, items: Iterable[Any], first: int = 0, attempt: int = 1) -> None:
        # A snapshot: a task that changes the caller's list changes nothing here.
        self._base = items if type(items) is tuple else list(items)
        self._first = self._next = first
        self._stop = first + len(self._base)
        self._attempt = attempt

    @property
    def left(self) -> int:
        return self._stop - self._next

    def take(self, size: int) -> Chunk | None:
        start = self._next
        stop = min(start + size, self._stop)
        if start == stop:
            return None
        self._next = stop
        return Chunk(self._base, self._first, start, stop, self._attempt)

    def item(self, index: int) -> Any:
        return self._base[index - self._first]

    def next_wakeup(self, now: float) -> float:
        return float("inf")

    def close(self) -> None:
        pass  # it was read whole

    def rest(self) -> Chunk | None:
        return self.take(self._stop)

    def waiting(self, count: int) -> None:
        pass
