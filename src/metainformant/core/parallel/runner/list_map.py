"""One run over items that are read whole, in the thread of the caller."""

from __future__ import annotations

from time import monotonic

from .. import validate
from ..backends.registry import make_backend
from ..engine.loop import Engine
from ..engine.source import ListSource
from ..observe.registry import make_observers
from .delivery import SlotCollector, announce
from .ending import raise_failure, raise_stop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from ..engine.outcome_batch import OutcomeBatch
    from ..options import MapCall, Options
    from .delivery import Collector

# Seconds between two looks at unfinished chunks: if the caller can see when an item is finished,
# and if it only sees how many are.
POLL_INTERVAL = 0.005
_COUNT_INTERVAL = 0.1


def run_map(call: MapCall, items: Iterable[Any]) -> list[Any]:
    """Run a map over items that are read whole; return its results."""
    on_error = call.options.on_error

    def make_collector(total: int) -> Collector:
        if call.options.ordered:
            return SlotCollector(total, on_error, may_keep=call.options.on_complete is None)
        from .completion_order import CompletionCollector  # needed only by those who ask for it

        return CompletionCollector(on_error)

    return run_list(call, validate.check_items(call.caller, items), make_collector)


def run_list(
    call: MapCall, items: Iterable[Any], make_collector: Callable[[int], Collector]
) -> list[Any]:
    """Run a map over items that are read whole; return the results of its collector."""
    began = monotonic()
    options = call.options
    source = ListSource(items)
    collector = make_collector(source.left)
    observers = make_observers(call, source.left)
    backend = make_backend(call)
    engine = Engine(
        call,
        source,
        backend,
        observers=observers,
        poll_interval=_poll_interval(options),
        max_chunk=backend.max_chunk,
        wants_times=not options.ordered,
        began=began,
    )

    def deliver(batch: OutcomeBatch) -> None:
        collector.add(batch)  # first: what comes after may be interrupted
        announce(batch, options.on_complete)

    try:
        ending = engine.run(deliver)
    except KeyboardInterrupt as interrupt:
        if interrupt.args:  # no signal: an initializer raised it
            raise
        from .interrupt import MapInterrupt

        raise MapInterrupt(call.caller, source, collector) from None
    if ending.kind == "completed":
        return collector.results()
    results = collector.results()
    raise_failure(ending, results)
    raise_stop(ending, options.on_error, results)
    return results


def _poll_interval(options: Options) -> float | None:
    # Failures are counted and retried as they come: those of a chunk must not wait for its end.
    if options.max_failures is not None or options.retries or options.on_complete:
        return POLL_INTERVAL
    return None if options.progress is None else _COUNT_INTERVAL
