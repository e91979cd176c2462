"""The limit of a run, found from what was recorded of it. Pure.

Each sentence rests on numbers that are in the report. What was not measured is not claimed.
"""

from __future__ import annotations

from .facts import Facts
from .limit import Limit
from .limit_by_part import limit_by_part
from .limit_rules import RULES
from .quantities import duration

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

# Less than this says little about a run.
MIN_SECONDS = 0.5
MIN_ITEMS = 50


def judge(run: Mapping[str, Any]) -> Limit:
    """Return what limited a run, of which everything else is known; see `Record.data`."""
    facts = Facts(run)
    if facts.elapsed < MIN_SECONDS or facts.attempts < MIN_ITEMS:
        return Limit(
            "unknown",
            f"Can't tell what limited this run: {_items(facts.attempts)} in "
            f"{duration(facts.elapsed)} are too little ({MIN_ITEMS} items and {MIN_SECONDS} s "
            "are needed).",
        )
    for rule in RULES:
        limit = rule(facts)
        if limit is not None:
            return limit
    return limit_by_part(facts)


def _items(count: int) -> str:
    return f"{count:,} item{'' if count == 1 else 's'}"
