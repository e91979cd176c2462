"""How a map that finds out its number of workers has changed it: what is kept of that."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# So many of the first changes are kept, and of the last ones; those in between are counted.
_MOST = 100


class WorkerChanges:
    """The changes of the number of workers, in bounded memory."""

    def __init__(self) -> None:
        self._first: list[dict[str, Any]] = []
        self._last: list[dict[str, Any]] = []
        self._left_out = 0

    def add(self, at: float, before: int, after: int, why: str) -> None:
        """Add a change at so many seconds of the run."""
        kept = self._first if len(self._first) < _MOST else self._last
        kept.append({"at": at, "from": before, "to": after, "why": why})
        if len(self._last) > _MOST:
            del self._last[0]
            self._left_out += 1

    def data(self) -> dict[str, Any]:
        """Return the changes in order, and how many are left out between them."""
        return {"list": self._first + self._last, "left_out": self._left_out}
