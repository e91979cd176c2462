"""Batches: one task for several items."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

from .. import validate
from ..describe import describe
from ..engine.outcome_batch import OutcomeBatch
from ..options import make_plan
from ..validate import OnError
from .delivery import reordered
from .list_map import run_list


class Batch(NamedTuple):
    """Consecutive items; the first has the index `start`."""

    start: int
    items: list[Any]

    def __repr__(self) -> str:
        return f"batch of items {self.start} to {self.start + len(self.items) - 1}"


def batched(items: Iterable[Any], size: int) -> Iterator[Batch]:
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


def of_batch(
    tell: Callable[[int, Any, Any], object] | None,
) -> Callable[[int, Any, Any], object] | None:
    """Turn an `on_complete` of lists into one of batches."""
    if tell is None:
        return None
    return lambda index, batch, results: tell(index, batch.items, results)


def flatten(batches: Iterable[OutcomeBatch], on_error: OnError) -> list[Any]:
    """All results of all batches; a failed batch stands for each of its items."""
    results: list[Any] = []
    for batch in batches:
        for outcome in batch.outcomes():
            if outcome.ok:
                results.extend(outcome.value)
            elif on_error != "skip":
                results.extend([outcome.error] * len(outcome.item.items))
    return results


def run_batches(
    caller: str,
    func: Callable[..., Any],
    items: Iterable[Any],
    batch_size: object,
    options: Mapping[str, object],
    **arguments: Any,
) -> list[Any]:
    """Run a map over batches of items; return all results as one list. Checks its arguments."""
    size = validate.whole(caller, "batch_size", batch_size)
    validate.check_function(caller, func)
    plan = make_plan(caller, PerBatch(func), options, **arguments)
    plan = plan._replace(on_complete=of_batch(plan.on_complete))

    def gather(batches: Iterable[OutcomeBatch], _: int) -> list[Any]:
        return flatten(reordered(batches) if plan.ordered else batches, plan.on_error)

    return run_list(plan, batched(validate.check_items(caller, items), size), gather)
