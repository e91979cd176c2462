"""The items that are not finished when a run is stopped, and how far they were."""

from __future__ import annotations

from ..describe import describe
from .outcome_batch import OutcomeBatch
from .policies.stopping import Unfinished

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .source import Chunk


def cancelled(
    chunk: Chunk, reason: str, worker: str = "", times: tuple[float, ...] = ()
) -> tuple[Unfinished, OutcomeBatch] | None:
    """Turn each item of a chunk into a failure that says how far it was; None if it has none.

    The first of them is returned beside their batch.

    With the name of a `worker`, the chunk is one item in flight, and `times` are when it was
    started and now.
    """
    running = bool(worker)
    waiting = not running and chunk.attempt > 1
    if not running:  # the attempt that it waits for was never made
        chunk = chunk.with_attempt(chunk.attempt - 1)
    left = [
        Unfinished(index, describe(chunk.item(index)), running or waiting, waiting)
        for index in range(chunk.start, chunk.stop)
    ]
    if not left:
        return None
    errors: list[Any] = [one.error(reason) for one in left]
    failed = dict(enumerate(errors, chunk.start))
    batch = OutcomeBatch(chunk, chunk.start, errors, failed, worker, list(times), names_items=True)
    return left[0], batch
