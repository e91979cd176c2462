"""Maps over input that is read lazily and results that are read one by one."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from typing import Any, TypeVar

from .backends.threads import ThreadBackend
from .engine import Engine
from .outcome import Outcome
from .plan import Plan, check_items, make_plan, optional_whole
from .results import in_order
from .source import StreamSource

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Unpack

    from .plan import Options

T = TypeVar("T")
R = TypeVar("R")

_CALLER = "outcomes"


def outcomes(
    func: Callable[[T], R],
    items: Iterable[T],
    *,
    max_workers: int = 8,
    chunk_size: int | None = None,
    timeout: float | None = None,
    ordered: bool = True,
    buffer_size: int | None = None,
    **options: Unpack[Options],
) -> Generator[Outcome[T, R], None, None]:
    """Call `func` with each item, in threads, and yield an `Outcome` for each, as they come.

    The input is read lazily and in the thread that iterates, never more than `buffer_size` items
    ahead of what has been yielded, so it may be endless. Everything happens while you iterate:
    between two steps the tasks in hand go on, but no new ones are handed out and no timeout
    fires. Closing the iterator, or leaving it to the garbage collector, stops the map without
    waiting for the tasks in flight.

    A failed item does not disturb the others: its outcome has the exception as `error`. If
    reading the input fails, the outcomes of what was read before are yielded first, and then that
    exception is raised.

    Args:
        func: called with one item at a time, from several threads.
        items: any iterable.
        max_workers: how many threads at most.
        chunk_size: how many consecutive items are handed to a thread together; by default this
            follows the measured speed.
        timeout: seconds that one item may take, counted from its own start; None for no limit.
        ordered: False for the order of completion instead of input order.
        buffer_size: how many items may be read and not yet yielded; 8192 by default, or 16 per
            worker if that is more. Slow tasks need far less: about 3 items per worker.
        deadline: seconds that the whole map may take; `cancel`: a `threading.Event` that stops
            it. What was read and is not finished by then gets a `TaskCancelledError`; if there
            may have been more to read, that error is also raised at the end.

    Raises:
        TypeError, ValueError: for a wrong argument, at the call.

    >>> from metainformant.core import parallel
    >>> for outcome in parallel.outcomes(int, ["1", "two"]):
    ...     print(outcome.index, outcome.item, outcome.value if outcome.ok else "failed")
    0 1 1
    1 two failed
    """
    plan = make_plan(
        _CALLER,
        func,
        options,
        max_workers=max_workers,
        chunk_size=chunk_size,
        timeout=timeout,
        ordered=ordered,
        on_error="return",
    )
    items = check_items(_CALLER, items)
    size = optional_whole(_CALLER, "buffer_size", buffer_size)
    if size is None:
        size = max(8192, 16 * plan.max_workers)
    # Chunks of an eighth of what every worker could have, so that none has to wait for another.
    source = StreamSource(items, size, max(1, size // (8 * plan.max_workers)))
    backend = ThreadBackend(plan.caller, plan.func, timeout=plan.timeout, eager=True)
    return _stream(plan, source, Engine(plan, source, backend, early=True))


def _stream(
    plan: Plan, source: StreamSource, engine: Engine
) -> Generator[Outcome[Any, Any], None, None]:
    pieces = engine.pieces()
    try:
        for piece in in_order(pieces) if plan.ordered else pieces:
            for outcome in piece.outcomes():
                source.delivered += 1
                yield outcome
    finally:
        pieces.close()
    engine.raise_failure()
    if source.error is not None:
        raise source.error
    if engine.stop is not None and source.left is None:
        error = engine.stop.error((source.delivered, "not read", False))
        if error is not None:
            raise error
