"""The step from the ending of a run to what the caller gets: nothing, or an exception."""

from __future__ import annotations

from ..describe import note_failure
from ..errors import ParallelError, TaskTimeoutError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..engine.ending import Ending
    from ..options import Options


def raise_failure(ending: Ending, results: list[Any] | None = None) -> None:
    """Raise the failure that ended a run, if one did.

    Workers that could not clean up are such a failure too; then all `results` are there.
    """
    chunk, index = ending.chunk, ending.index
    error = ending.take_error()
    if error is None:
        return
    if chunk is None:
        if isinstance(error, ParallelError):
            error.results = results
    elif chunk.past or not isinstance(error, TaskTimeoutError):
        note_failure(error, index, chunk.item(index), chunk.attempt, chunk.past)
    try:
        raise error
    finally:
        del error  # its traceback leads to this frame: leave no cycle


def raise_stop(ending: Ending, options: Options, results: list[Any]) -> None:
    """Raise the reason why a run of a list was stopped as a whole, if its results would hide it.

    They do not if each unfinished item has a failure in its slot.
    """
    stop = ending.stop
    if stop is None or not (stop.always_raises or options.hides_failures):
        return
    error = stop.error(ending.unfinished)
    if error is not None:
        error.results = results
        ending.stop = None
        try:
            raise error
        finally:
            del error, stop  # as above
