"""The iterator over the results of a stream, which users get."""

from __future__ import annotations

import contextlib
import time
from typing import Generic, TypeVar

from ..public import public

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from types import TracebackType
    from typing import Any

    from ..outcome import Outcome
    from ..runner.stream_map import Stream

R = TypeVar("R")


@public
class Results(Generic[R]):
    """The iterator that `imap` and `outcomes` return, which can be closed.

    Nothing is started before the first result is asked for. `close()`, the end of a `with` block
    and the garbage collector stop the map without waiting for the tasks in flight.
    """

    def __init__(self, results: Generator[R, None, None], stream: Stream) -> None:
        self._results = results
        self._stream = stream

    def __iter__(self) -> Iterator[R]:
        return self._results  # not self: saves a call for each result

    def __next__(self) -> R:
        return next(self._results)

    def close(self) -> None:
        """Stop the map: nothing is started any more when this returns. May be called again.

        Any thread may call this. If another thread has been asking for results, it gets a
        `ParallelError` instead of the next ones.
        """
        self._stream.abort()
        if not self._stream.is_consumed_elsewhere:
            # It may be what called us; or another thread may have asked it for a result just now.
            with contextlib.suppress(ValueError):  # "generator already executing"
                self._results.close()
        self._stream.join()

    def abort(self) -> None:
        """Stop the map as `close()` does; raise ParallelError to whoever asks for more results."""
        self._stream.abort()
        self._stream.join()

    def keep(self, owner: object) -> None:
        """Keep `owner` alive, which the map depends on, as long as results may be asked for."""
        self._stream.owner = owner

    def __enter__(self) -> Results[R]:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def values_of(stream: Stream) -> Results[Any]:
    """Return the iterator over the values of a stream."""
    return Results(_values(stream), stream)


def outcomes_of(stream: Stream) -> Results[Any]:
    """Return the iterator over the outcomes of a stream."""
    return Results(_outcomes(stream), stream)


def _values(stream: Stream) -> Generator[Any, None, None]:
    batches, select = stream.batches(), stream.selection.values
    try:
        for batch in batches:
            values = select(batch)
            values.reverse()
            pop = values.pop
            while values:
                yield pop()  # nothing here may refer to a result that was delivered
    finally:
        batches.close()


def _outcomes(stream: Stream) -> Generator[Outcome[Any, Any], None, None]:
    epoch = time.time() - time.monotonic()
    batches = stream.batches()
    try:
        for batch in batches:
            outcomes = batch.outcomes(epoch)
            if stream.selection.skips_none:
                outcomes = (each for each in outcomes if not (each.ok and each.value is None))
            yield from outcomes
    finally:
        batches.close()
