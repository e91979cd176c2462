"""Outcomes on their way through a checkpoint: recorded first, delivered when they are in the file.

The engine's thread records, the writer's thread commits. What is committed goes to the consumer of
a stream at once; the outcomes of a list wait for the engine's thread, which calls `on_complete`.
"""

from __future__ import annotations

import time
from collections import deque
from itertools import pairwise

from ..checkpoint.errors import CheckpointError
from ..checkpoint.run import Block, DurableRun
from ..describe import error_in_words
from ..engine.backend import Finished
from ..engine.ending import Ending
from ..engine.events import Counts, Observer
from ..engine.source import Chunk
from ..errors import TaskCancelledError
from .resumed_source import ResumedSource

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

    from ..calls import MapCall
    from ..checkpoint.finished import Outcomes
    from ..engine.loop import Engine
    from ..engine.outcome_batch import OutcomeBatch
    from ..engine.source import Source
    from .recorder import Deliver

# Seconds within which `on_complete` learns of what is committed, if nothing else happens.
_TELL_INTERVAL = 0.05


class _Recorder:
    """The common part of the recorders of lists and streams; see `Recorder`."""

    observers: Sequence[Observer] = ()

    # The time of recorded outcomes that have none; None where nobody asks.
    _default_time: float | None = None

    def __init__(
        self, run: DurableRun, source: ResumedSource, deliver: Deliver, keep: Deliver
    ) -> None:
        self.source = source
        self._run = run
        self._deliver = deliver
        self._keep = keep
        self._engine: Engine | None = None
        # Why outcomes can't be recorded any more. Owned by the engine's thread; the writer has its
        # own, which becomes this one at the end.
        self._error: CheckpointError | None = None
        self._epoch = time.time() - time.monotonic()

    def begin(self, engine: Engine) -> Deliver:
        self._engine = engine
        self.source.replay = self._replay
        self._run.start_writer(self._committed, self._changed)
        self._begin(engine)
        return self._record

    def finish(self, ending: Ending) -> Ending:
        try:
            self._finish()
            self._deliver_committed()
            return self._final(ending)
        finally:
            self._forget()

    def fail(self, error: BaseException) -> None:
        # Everything that was finished is recorded before whatever happened gets through.
        try:
            self._finish()
            if self._error is not None:
                error.add_note(error_in_words(self._error))
        finally:
            self._forget()

    def _forget(self) -> None:
        """Let no cycle keep the items and the results."""
        del self.source.replay
        self._engine = None
        self.observers = ()

    def leave(self) -> None:
        self._run.leave()

    def close(self) -> None:
        self._run.close()

    def _begin(self, engine: Engine) -> None:
        """Do what comes before the engine starts."""

    def _committed(self, batches: list[OutcomeBatch]) -> None:
        """Take batches that are in the file now. Called in the writer's thread."""
        raise NotImplementedError

    def _deliver_committed(self) -> None:
        """Deliver what the writer has left to the engine's thread."""

    # The engine's thread

    def _record(self, batch: OutcomeBatch) -> None:
        block = batch.chunk.base
        assert isinstance(block, Block)  # noqa: S101  # the source made it so
        if _is_cancelled(batch):  # there is no outcome
            self._deliver(batch)
        elif self._error is not None:
            self._keep(batch)
        else:
            times = [at + self._epoch for at in batch.times]
            outcomes = batch.values, batch.failed, batch.chunk.attempt, batch.worker, times
            try:
                self._run.record(batch, block, batch.start, *outcomes)
            except CheckpointError as error:
                self._break(error)
                self._keep(batch)
        self._deliver_committed()

    def _replay(self, chunk: Chunk, outcomes: Outcomes) -> None:
        assert self._engine is not None  # noqa: S101  # the source is asked by it
        for part, finished in _replayed(chunk, outcomes, self._epoch):
            if not finished.times and self._default_time is not None:
                finished.times = [self._default_time] * (len(finished.values) + 1)
            for batch in self._engine.replay(part, finished, outcomes.worker):
                self._deliver(batch)

    def _break(self, error: CheckpointError) -> None:
        self._error = error
        if self._engine is not None:
            self._engine.fail(error)

    def _finish(self) -> None:
        try:
            self._run.close()
        except CheckpointError as error:
            self._error = self._error or error
        finally:  # also if Ctrl-C came meanwhile
            self._deliver_committed()
        for batch in self._run.uncommitted():
            self._keep(batch)

    def _final(self, ending: Ending) -> Ending:
        error, self._error = self._error, None
        if error is None:
            return ending
        if ending.kind == "failed" and ending.error is not None:
            ending.error.add_note(error_in_words(error))
            return ending
        return Ending("failed", error=error.with_traceback(None))

    # The writer's thread

    def _changed(self) -> None:
        """Learn that the writer has room again, or has failed."""
        engine, error = self._engine, self._run.error
        if engine is not None:
            if error is None:
                engine.wake()
            else:
                engine.fail(error)


class StreamRecorder(_Recorder):
    """Records a stream. Batches are sent from the engine's and the writer's thread."""

    def __init__(self, call: MapCall, source: Source, send: Deliver) -> None:
        run = DurableRun(_checkpoint(call), call.func)
        super().__init__(run, ResumedSource(run, source), send, _drop)

    def _committed(self, batches: list[OutcomeBatch]) -> None:
        for batch in batches:
            self._deliver(batch)


class ListRecorder(_Recorder):
    """Records a list. Batches are delivered in the engine's thread only."""

    def __init__(self, call: MapCall, source: Source, deliver: Deliver, keep: Deliver) -> None:
        chunk = source.rest()
        run = DurableRun(_checkpoint(call), call.func, () if chunk is None else chunk.base)
        super().__init__(run, ResumedSource(run, source), deliver, keep)
        self._ready: deque[OutcomeBatch] = deque()  # filled by the writer, emptied by the engine
        if not call.options.ordered:
            self._default_time = 0.0  # they were completed first
        if call.options.on_complete is not None:
            self.observers: Sequence[Observer] = [_Teller(self._deliver_committed)]

    def _begin(self, engine: Engine) -> None:
        try:
            self.source.admit(self._run.block)
        except BaseException:
            engine.discard()
            raise

    def _committed(self, batches: list[OutcomeBatch]) -> None:
        self._ready.extend(batches)

    def _deliver_committed(self) -> None:
        while self._ready:
            self._deliver(self._ready.popleft())


class _Teller(Observer):
    """A way to let the engine's thread deliver what is committed, whatever it waits for."""

    interval = _TELL_INTERVAL

    def __init__(self, tell: Callable[[], None]) -> None:
        self._tell = tell

    def on_progress(self, counts: Counts, elapsed: float) -> None:
        self._tell()


def _drop(batch: OutcomeBatch) -> None:
    """Do nothing: a stream delivers only what is recorded."""


def _checkpoint(call: MapCall) -> Any:
    return call.options.checkpoint


def _is_cancelled(batch: OutcomeBatch) -> bool:
    """Return whether the engine says of the items that they were not finished."""
    return batch.names_items and type(batch.values[0]) is TaskCancelledError


def _replayed(chunk: Chunk, outcomes: Outcomes, epoch: float) -> Iterator[tuple[Chunk, Finished]]:
    """Yield recorded outcomes as they once came from a worker.

    Items that did not follow each other then have times of their own, so they come one by one.
    """
    spent = [[at - epoch for at in pair] for pair in outcomes.times]
    if all(before[1] == after[0] for before, after in pairwise(spent)):
        times = [pair[0] for pair in spent] + [pair[1] for pair in spent[-1:]]
        yield chunk, Finished(outcomes.values, outcomes.failed, times)
        return
    for position, pair in enumerate(spent):
        index = chunk.start + position
        failed = {0: outcomes.failed[position]} if position in outcomes.failed else {}
        part = chunk.part(index, index + 1)
        yield part, Finished([outcomes.values[position]], failed, pair)
