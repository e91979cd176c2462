"""The items that are not finished when a run is stopped, and how far they were."""

from __future__ import annotations

from ..describe import describe
from .outcome_batch import OutcomeBatch
from .policies.stopping import Unfinished

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from .source import Chunk


def cancelled(
    chunk: Chunk, reason: str, worker: str = "", times: tuple[float, ...] = ()
) -> Iterator[tuple[Unfinished, OutcomeBatch]]:
    """Turn each item of a chunk into a failure that says how far it was.

    With the name of a `worker`, the chunk is one item in flight, and `times` are when it was
    started and now.
    """
    running = bool(worker)
    waiting = not running and chunk.attempt > 1
    if not running:  # the attempt that it waits for was never made
        chunk = chunk.with_attempt(chunk.attempt - 1)
    for index in range(chunk.start, chunk.stop):
        item = describe(chunk.item(index))
        unfinished = Unfinished(index, item, running or waiting, waiting)
        error = unfinished.error(reason)
        batch = OutcomeBatch(
            chunk, index, [error], {index: error}, worker, list(times), names_items=True
        )
        yield unfinished, batch
