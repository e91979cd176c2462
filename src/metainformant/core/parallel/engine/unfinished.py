"""What is left of a map that is stopped: which items are not finished, and how far they were."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ..describe import describe, note_failure
from .outcome_batch import OutcomeBatch
from .policies.stopping import Unfinished
from .source import Chunk


class Leftover(NamedTuple):
    """Consecutive items that are not finished; or one that is in flight, if it has a worker."""

    chunk: Chunk
    worker: str = ""
    times: list[float] = []  # noqa: RUF012  # never changed

    def cancelled(self, reason: str) -> Iterator[tuple[Unfinished, OutcomeBatch]]:
        """Turn each item into a failure that says how far it was."""
        chunk, worker, times = self
        running = bool(worker)
        waiting = not running and chunk.attempt > 1
        if not running:  # the attempt that it waits for was never made
            chunk = chunk._replace(attempt=chunk.attempt - 1)
        for index in range(chunk.start, chunk.stop):
            item = chunk.item(index)
            unfinished = Unfinished(index, describe(item), running or waiting, waiting)
            error = unfinished.error(reason)
            if chunk.past:
                note_failure(error, index, item, chunk.attempt, chunk.past)
            yield unfinished, OutcomeBatch(chunk, index, [error], {index: error}, worker, times)
