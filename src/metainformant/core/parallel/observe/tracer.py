"""The tracing of a run: what the engine tells goes to a file, or is kept for a report."""

from __future__ import annotations

import contextlib
import logging
import os
from time import monotonic

from ..describe import describe
from ..engine.events import ChunkRun, Counts, Observer
from ..errors import TaskTimeoutError, WorkerDiedError
from ..host.memory import used_memory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ..calls import MapCall
    from ..engine.ending import Ending
    from ..engine.outcome_batch import OutcomeBatch
    from ..report.trace import TraceWriter
    from ..report.track import Track

# Seconds between two values of the counters.
_COUNT_EVERY = 0.1


class Tracer(Observer):
    """The observer that traces. Owned by the engine's thread, and so is what it writes to.

    A file that can't be written is logged as an error, and costs no result.
    """

    interval = _COUNT_EVERY
    wants_chunks = True

    def __init__(self, call: MapCall, writer: TraceWriter | Track, began: float) -> None:
        self._call = call
        report = call.options.report
        self._shows_items = report is None or report.items
        self._began = began
        # None once it is closed, or can't be written.
        self._writer: TraceWriter | Track | None = writer
        self._write(lambda writer: writer.begin(f"{call.caller} ({call.workers.kind})"))

    def on_chunk(self, run: ChunkRun) -> None:
        self._write(lambda writer: self._write_chunk(writer, run))

    def on_outcomes(self, batch: OutcomeBatch) -> None:
        for index, error in batch.failed.items():
            if isinstance(error, (TaskTimeoutError, WorkerDiedError)):
                at = (batch.times[-1] if batch.times else monotonic()) - self._began
                what = "timeout" if isinstance(error, TaskTimeoutError) else "death of the worker"
                self._instant(f"{what}: item {index}", at, batch.worker)

    def on_progress(self, counts: Counts, elapsed: float) -> None:
        values = {
            "running": counts.running,
            "queued": counts.queued,
            "waiting for retry": counts.waiting,
        }
        with contextlib.suppress(ImportError):  # outside Linux that takes psutil
            values["memory"] = used_memory(os.getpid())
        at = monotonic() - self._began
        self._write(lambda writer: writer.counters(at, values))

    def on_end(self, ending: Ending | None) -> None:
        about = {
            "caller": self._call.caller,
            "ending": "interrupted" if ending is None else ending.kind,
            "elapsed": monotonic() - self._began,
        }
        self._instant(f"end: {about['ending']}", monotonic() - self._began, None)
        self._write(lambda writer: writer.close(about))
        self._writer = None

    def _write_chunk(self, writer: TraceWriter | Track, run: ChunkRun) -> None:
        began, finished, chunk = self._began, run.finished, run.chunk
        count = len(finished.values)
        times = [] if run.is_sampled else [at - began for at in finished.times]
        started, ended = run.started - began, run.ended - began
        failed = finished.failed
        writer.chunk(
            run.worker, started, ended, chunk.start, count, self._name(run), times, failed,
            chunk.attempt,
        )  # fmt: skip
        if run.given_up is not None:
            index = chunk.start + count
            writer.instant(f"given up: item {index}", ended, run.worker)
        elif chunk.start + count < chunk.stop:
            writer.instant(f"cut at item {chunk.start + count}", ended, run.worker)

    def _name(self, run: ChunkRun) -> Callable[[int], str]:
        if not self._shows_items:
            return "item {}".format
        item = run.chunk.item
        return lambda index: describe(item(index))

    def _instant(self, name: str, at: float, worker: str | None) -> None:
        self._write(lambda writer: writer.instant(name, at, worker))

    def _write(self, write: Callable[[TraceWriter | Track], None]) -> None:
        writer = self._writer
        if writer is None:
            return
        try:
            write(writer)
        except OSError as error:
            self._writer = None
            writer.discard()
            logging.getLogger("metainformant.parallel").error(
                "%s: the trace can't be written: %s", self._call.caller, error
            )
