"""The section of the page about the changes of the number of workers."""

from __future__ import annotations

from .markup import Markup
from .page_parts import count_cell, seconds_cell, section, table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


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
