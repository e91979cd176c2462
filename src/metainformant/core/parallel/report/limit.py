"""What limited a run, as users get it."""

from __future__ import annotations

from typing import NamedTuple

from ..public import public


@public
class Limit(NamedTuple):
    """The limit of a run.

    Attributes:
        kind: a word for it, such as "gil", "calls", "input" or "unknown".
        sentence: what it was, by how much, and a change that helps.
        seconds: about how long the run would take with that change; None if that can't be told.
    """

    kind: str
    sentence: str
    seconds: float | None = None

    def __str__(self) -> str:
        return self.sentence
