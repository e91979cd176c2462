"""Telling people what a slow task is doing."""

from __future__ import annotations

from ..describe import describe
from ..engine.assignment import Run
from ..errors import format_stack


def log_slow(caller: str, run: Run, now: float) -> None:
    """Log the item in flight, with the stack it is in, and note that it was."""
    import logging  # slow to import, and needed only by those who ask for it

    run.told_slow = run.seen
    logger = logging.getLogger("metainformant.parallel")
    if not logger.handlers:  # else Python itself would print what nobody asked to see
        logger.addHandler(logging.NullHandler())
    logger.warning(
        "%s: item %d (%s) has been running for %.3g s on %r:\n%s",
        caller,
        run.seen,
        describe(run.chunk.item(run.seen)),
        now - (now if run.since is None else run.since),
        run.job.worker,
        format_stack(run.job.stack()),
    )
