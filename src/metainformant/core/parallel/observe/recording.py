"""The way of the engine's events into the record of a run."""

from __future__ import annotations

from time import monotonic

from ..engine.events import ChunkRun, Counts, Observer
from ..host.gil import HAS_GIL
from ..report.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..calls import MapCall
    from ..engine.ending import Ending
    from ..engine.events import IdleReason
    from ..engine.outcome_batch import OutcomeBatch
    from ..engine.policies.concurrency import WorkersChanged


class Recording(Observer):
    """The observer that keeps the record of a run, for all observers that show something of it.

    It comes before them, so that they find in the record what they are told. Owned by the engine's
    thread, as is the record.

    Attributes:
        record: of what the engine has told so far.
        began: when the record begins; its times count from then.
        shares_gil: whether the workers take turns.
    """

    wants_chunks = True

    def __init__(self, call: MapCall) -> None:
        self.shares_gil: bool = HAS_GIL and call.workers.kind == "thread"
        is_auto = call.workers.auto is not None
        self.record: Record = Record(call.workers.count, share_gil=self.shares_gil, is_auto=is_auto)
        self.began: float = monotonic()
        self._has_ended = False

    def on_chunk(self, run: ChunkRun) -> None:
        finished, chunk = run.finished, run.chunk
        self.record.chunk(
            run.worker,
            run.handed_out - self.began,
            run.started - self.began,
            run.ended - self.began,
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

    def on_outcomes(self, batch: OutcomeBatch) -> None:
        self.record.outcomes(
            len(batch.values),
            batch.failed,
            batch.chunk.item,
            names_items=batch.names_items,
            is_recorded=batch.is_recorded,
        )

    def on_wait(
        self, began: float, ended: float, busy: int, idle: int, reason: IdleReason | None
    ) -> None:
        self.record.time.add_wait(ended - began, busy, idle, reason)

    def on_workers_changed(self, change: WorkersChanged) -> None:
        at = change.at - self.began
        self.record.changes.add(at, change.before, change.after, change.why)

    def on_progress(self, counts: Counts, elapsed: float) -> None:
        self.record.throttled = counts.throttled

    def on_end(self, ending: Ending | None) -> None:
        if self._has_ended or ending is None or ending.error is None or ending.chunk is None:
            return
        self._has_ended = True
        # The failure that ends a map is in no batch.
        self.record.outcomes(1, {ending.index: ending.error}, ending.chunk.item)
