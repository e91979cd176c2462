"""Telling people what a slow task is doing."""

from __future__ import annotations

from ..describe import describe
from ..engine.assignment import Assignment
from ..errors import format_stack


def log_slow(caller: str, assignment: Assignment, now: float) -> None:
    """Log the item in flight, with the stack it is in, and note that it was."""
    import logging  # slow to import, and needed only by those who ask for it

    assignment.told_slow = assignment.seen
    logger = logging.getLogger("metainformant.parallel")
    if not logger.handlers:  # else Python itself would print what nobody asked to see
        logger.addHandler(logging.NullHandler())
    logger.warning(
        "%s: item %d (%s) has been running for %.3g s on %r:\n%s",
        caller,
        assignment.seen,
        describe(assignment.chunk.item(assignment.seen)),
        now - (now if assignment.since is None else assignment.since),
        assignment.job.worker,
        format_stack(assignment.job.stack()),
    )
