"""Assignments in any state, for tests of what is decided about them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from metainformant.core.parallel.engine.assignment import Assignment
from metainformant.core.parallel.engine.source import Chunk


def assignment_at(start: int, stop: int, *, done: int) -> Assignment:
    """Return the assignment of the items from `start` to `stop`, of which so many are done."""
    job: Any = SimpleNamespace(completed=lambda: done, started=0.0)
    return Assignment(job, Chunk(list(range(start, stop)), start, start, stop))
