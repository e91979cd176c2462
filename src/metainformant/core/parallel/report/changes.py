"""How a map that finds out its number of workers has changed it: what is kept, and its section."""

from __future__ import annotations

from .markup import Markup
from .page_parts import count_cell, seconds_cell, section, table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
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


def changes_section(run: Mapping[str, Any]) -> Markup:
    """Return the section of the page; nothing for a run whose number of workers was given."""
    changes = run["worker_changes"]["list"]
    if not changes:
        return Markup("")
    left_out = run["worker_changes"]["left_out"]
    more = f" {left_out:,} in the middle are left out." if left_out else ""
    return section(
        "Workers over time",
        f'max_workers="auto" changed the number of workers {len(changes) + left_out:,} times: from '
        f"{changes[0]['from']} to {changes[-1]['to']} in the end.{more}",
        table(
            ("at", "from", "to", "why"),
            [
                (
                    seconds_cell(change["at"]),
                    count_cell(change["from"]),
                    count_cell(change["to"]),
                    change["why"],
                )
                for change in changes
            ],
        ),
    )
