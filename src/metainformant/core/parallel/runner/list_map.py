"""One run over items that are read whole, in the thread of the caller."""

from __future__ import annotations

from time import monotonic

from .. import validate
from ..backends.registry import make_backend
from ..engine.loop import Engine
from ..engine.source import ListSource
from ..observe.registry import make_observers
from .delivery import SlotCollector, announce, make_selection
from .ending import raise_failure, raise_stop
from .recorder import make_list_recorder, run_recorded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from ..calls import MapCall
    from ..engine.outcome_batch import OutcomeBatch
    from ..options import Options
    from .delivery import Collector

# Seconds between two looks at unfinished chunks: if the caller can see when an item is finished,
# if outcomes are recorded, and if it only sees how many are.
POLL_INTERVAL = 0.005
_RECORD_INTERVAL = 0.05
_COUNT_INTERVAL = 0.1


def run_map(call: MapCall, items: Iterable[Any]) -> list[Any]:
    """Run a map over items that are read whole; return its results."""
    selection = make_selection(call.options)

    def make_collector(total: int) -> Collector:
        if call.options.ordered:
            return SlotCollector(total, selection, may_keep=call.options.on_complete is None)
        from .completion_order import CompletionCollector  # needed only by those who ask for it

        return CompletionCollector(selection)

    items = validate.check_items(call.caller, items, star=call.options.star)
    if call.options.star and isinstance(items, (list, tuple)):
        from ..call_checks import check_starred  # needed only by those who ask for it
        from ..worker.arguments import starred

        has_state = call.options.worker_state is not None
        check_starred(call.caller, starred(call.func), items, has_state=has_state)
    return run_list(call, items, make_collector)


def run_list(
    call: MapCall, items: Iterable[Any], make_collector: Callable[[int], Collector]
) -> list[Any]:
    """Run a map over items that are read whole; return the results of its collector."""
    began = monotonic()
    call = as_it_runs(call)
    options = call.options
    source = ListSource(items)
    collector = make_collector(source.left)

    def keep(batch: OutcomeBatch) -> None:
        collector.add(batch)  # first: what comes after may be interrupted
        announce(batch, None)

    def deliver(batch: OutcomeBatch) -> None:
        collector.add(batch)
        announce(batch, options.on_complete)

    observers = make_observers(call, source.left)
    backend = make_backend(call)
    recorder = make_list_recorder(call, source, deliver, keep)
    engine = Engine(
        call,
        recorder.source,
        backend,
        observers=[*observers, *recorder.observers],
        poll_interval=_poll_interval(options),
        max_chunk=backend.max_chunk,
        wants_times=not options.ordered,
        began=began,
    )
    try:
        ending = run_recorded(engine, recorder)
    except KeyboardInterrupt as interrupt:
        if interrupt.args:  # no signal: an initializer raised it
            raise
        from .interrupt import with_results

        raise with_results(call.caller, source, collector, interrupt) from None
    if ending.kind == "completed":
        return collector.results()
    results = collector.results()
    raise_failure(ending, results)
    raise_stop(ending, options, results)
    return results


def as_it_runs(call: MapCall) -> MapCall:
    """Return the call as it is made here, in serial mode or not, with all that its tasks need."""
    call = call.in_serial_mode()
    if call.options.rate is None:
        return call
    from .charging import with_charges  # needed only by those who ask for it

    return with_charges(call)


def _poll_interval(options: Options) -> float | None:
    # Failures are counted and retried as they come: those of a chunk must not wait for its end.
    if options.max_failures is not None or options.retries or options.on_complete:
        return POLL_INTERVAL
    if options.checkpoint is not None:
        return _RECORD_INTERVAL
    return None if options.progress is None else _COUNT_INTERVAL
