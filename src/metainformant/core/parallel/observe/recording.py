"""The way of the engine's events into the record of a run."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..engine.events import ChunkRun
    from ..engine.outcome_batch import OutcomeBatch
    from ..report.record import Record


def add_chunk(record: Record, run: ChunkRun, began: float) -> None:
    """Add a chunk of a run that began then to its record."""
    finished, chunk = run.finished, run.chunk
    record.chunk(
        run.worker,
        run.handed_out - began,
        run.started - began,
        run.ended - began,
        chunk.start,
        len(finished.values),
        chunk.item,
        attempt=chunk.attempt,
        times=[] if run.is_sampled else finished.times,
        standing=run.standing,
        failed=len(finished.failed),
        usage=finished.usage,
        given_up=run.given_up,
    )


def add_outcomes(record: Record, batch: OutcomeBatch) -> None:
    """Add final outcomes to the record of their run."""
    record.outcomes(
        len(batch.values),
        batch.failed,
        batch.chunk.item,
        names_items=batch.names_items,
        is_recorded=batch.is_recorded,
    )
