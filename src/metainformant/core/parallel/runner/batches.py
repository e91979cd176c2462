"""Batches: one task for several items."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice

from .. import validate
from ..describe import describe
from ..functions import check_function
from ..options import make_call
from .list_map import run_list

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from ..engine.outcome_batch import OutcomeBatch
    from ..options import Options, Workers
    from .delivery import OnComplete


class Batch:
    """Consecutive items; the first has the index `start`."""

    __slots__ = ("items", "start")

    def __init__(self, start: int, items: list[Any]) -> None:
        self.start = start
        self.items = items

    def __repr__(self) -> str:
        return f"batch of items {self.start} to {self.start + len(self.items) - 1}"


def batched(items: Iterable[Any], size: int) -> Iterator[Batch]:
    """Cut the items into batches of `size`; the last one may be shorter."""
    iterator = iter(items)
    start = 0
    while part := list(islice(iterator, size)):
        yield Batch(start, part)
        start += len(part)


class PerBatch:
    """Turns a function of a list into one of a Batch that returns a list. Picklable if that is.

    What the function returns is read here, in the worker, since it may be a generator that fails.
    """

    def __init__(self, func: Callable[..., Iterable[Any]]) -> None:
        self._func = func

    def __call__(self, batch: Batch, *state: Any) -> list[Any]:
        results = self._func(batch.items, *state)
        if isinstance(results, (str, bytes, Mapping)) or not hasattr(results, "__iter__"):
            raise TypeError(
                f"func must return a list of results for its batch, not {describe(results)}"
            )
        return results if type(results) is list else list(results)


class BatchCollector:
    """Gathers all results of all batches; a failed batch stands for each of its items."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._arrived: list[OutcomeBatch] = []

    def add(self, batch: OutcomeBatch) -> None:
        self._arrived.append(batch)

    def results(self) -> list[Any]:
        if self._options.ordered:
            self._arrived.sort(key=lambda batch: batch.start)
        skips = self._options.on_error == "skip"
        results: list[Any] = []
        for batch in self._arrived:
            for index, value in enumerate(batch.values, batch.start):
                if index not in batch.failed:
                    results.extend(value)
                elif not skips:
                    results.extend([value] * len(batch.chunk.item(index).items))
        return results


def run_batches(
    caller: str,
    func: Callable[..., Any],
    items: Iterable[Any],
    batch_size: object,
    workers: Workers,
    options: Mapping[str, object],
    **arguments: object,
) -> list[Any]:
    """Run a map over batches of items; return all results as one list. Checks its arguments."""
    size = validate.whole(caller, "batch_size", batch_size)
    call = make_call(caller, PerBatch(func), workers, options, **arguments)
    arguments_of_func = 1 if call.options.worker_state is None else 2
    check_function(caller, func, arguments_of_func, may_be_generator=True)
    options_per_batch = call.options.replace(on_complete=_per_batch(call.options.on_complete))
    batches = batched(validate.check_items(caller, items), size)
    return run_list(
        call.with_options(options_per_batch), batches, lambda _: BatchCollector(call.options)
    )


def _per_batch(on_complete: OnComplete | None) -> OnComplete | None:
    """Turn an `on_complete` of lists into one of batches."""
    if on_complete is None:
        return None
    return lambda index, batch, results: on_complete(index, batch.items, results)
