"""Batches: one task for several items."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice

from .. import validate
from ..calls import make_call
from ..describe import describe
from ..functions import check_function
from ..worker.arguments import checked_awaitable
from .delivery import make_selection
from .list_map import run_list

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from ..calls import Workers
    from ..checkpoint.config import Checkpoint
    from ..engine.outcome_batch import OutcomeBatch
    from ..options import Options
    from ..rate import RateLimit
    from .delivery import OnComplete


class Batch:
    """Consecutive items; the first has the index `start`."""

    __slots__ = ("items", "start")

    def __init__(self, start: int, items: list[Any]) -> None:
        self.start: int = start
        self.items: list[Any] = items

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
    """A function of a Batch that returns a list, made of a function of a list; as picklable as it.

    What that function returns is read here, in the worker, since it may be a generator that fails.
    """

    def __init__(self, func: Callable[..., Iterable[Any]], strict: bool) -> None:
        self.__wrapped__ = func  # whose name and code are those of the task
        self._strict = strict

    def __call__(self, batch: Batch, *state: Any, **kwargs: Any) -> list[Any]:
        return self._checked(batch, self.__wrapped__(batch.items, *state, **kwargs))

    def _checked(self, batch: Batch, returned: Any) -> list[Any]:
        if isinstance(returned, (str, bytes, Mapping)) or not hasattr(returned, "__iter__"):
            raise TypeError(
                f"func must return a list of results for its batch, not {describe(returned)}"
            )
        if hasattr(returned, "columns"):
            raise TypeError(
                "func must return a list of results for its batch, and returned a table "
                f"({type(returned).__name__}), which iterates over its columns; return its rows, "
                "for example table.to_dict('records')"
            )
        results = returned if type(returned) is list else list(returned)
        if self._strict and len(results) != len(batch.items):
            raise ValueError(
                f"func returned {len(results)} results for the {len(batch.items)} items of its "
                "batch, and strict=True wants one for each"
            )
        return results


class AwaitedPerBatch(PerBatch):
    """The same, made of an async function."""

    async def __call__(self, batch: Batch, *state: Any, **kwargs: Any) -> list[Any]:  # type: ignore[override]
        returned = self.__wrapped__(batch.items, *state, **kwargs)
        return self._checked(batch, await checked_awaitable(self.__wrapped__, returned))


class BatchCollector:
    """The results of all batches; a failed batch stands for each of its items."""

    def __init__(self, caller: str, options: Options) -> None:
        self._caller = caller
        self._ordered = options.ordered
        self._selection = make_selection(options)
        self._arrived: list[OutcomeBatch] = []

    def add(self, batch: OutcomeBatch) -> None:
        self._arrived.append(batch)

    def fill(self, failure: Callable[[int], BaseException]) -> None:
        """Do nothing: how many results a batch would have had is not known."""

    def results(self) -> list[Any]:
        if self._ordered:
            self._arrived.sort(key=lambda batch: batch.start)
        results: list[Any] = []
        odd: tuple[Batch, int] | None = None  # the first batch with another number of results
        for arrived in self._arrived:
            for index, value in enumerate(arrived.values, arrived.start):
                batch = arrived.chunk.item(index)
                if index in arrived.failed:
                    if not self._selection.skips_failures:
                        results.extend([self._selection.slot(value)] * len(batch.items))
                    continue
                results.extend(value)
                if len(value) != len(batch.items) and (odd is None or batch.start < odd[0].start):
                    odd = batch, len(value)
        if odd is not None:
            self._warn(*odd)
        return self._selection.without_none(results)

    def _warn(self, batch: Batch, count: int) -> None:
        import logging  # slow to import, and needed only for this

        logging.getLogger("metainformant.parallel").warning(
            "%s: func returned %d results for the %d items of the %r, so results do not stand at "
            "the places of their items; strict=True makes that an error of the batch",
            self._caller,
            count,
            len(batch.items),
            batch,
        )


def run_batches(
    caller: str,
    func: Callable[..., Any],
    items: Iterable[Any],
    batch_size: object,
    workers: Workers,
    options: Mapping[str, object],
    *,
    strict: object = False,
    **arguments: object,
) -> list[Any]:
    """Check the arguments, run a map over batches of items, and return all results as one list."""
    size = validate.whole(caller, "batch_size", batch_size)
    is_awaited = workers.kind == "asyncio"
    kind = AwaitedPerBatch if is_awaited else PerBatch
    per_batch = kind(func, validate.flag(caller, "strict", strict))
    call = make_call(caller, per_batch, workers, options, star=False, **arguments)
    check_function(
        caller,
        func,
        kwargs=call.options.kwargs,
        has_state=call.options.worker_state is not None,
        may_be_generator=True,
        is_awaited=is_awaited,
    )
    options_per_batch = call.options.replace(
        on_complete=_per_batch(call.options.on_complete),
        checkpoint=_with_keys_of_items(call.options.checkpoint),
        rate=_with_costs_of_items(call.options.rate),
    )
    batches = batched(validate.check_items(caller, items), size)
    return run_list(
        call.replace(options=options_per_batch),
        batches,
        lambda _: BatchCollector(caller, call.options),
    )


def _per_batch(on_complete: OnComplete | None) -> OnComplete | None:
    """Turn an `on_complete` of lists into one of batches."""
    if on_complete is None:
        return None
    return lambda index, batch, results: on_complete(index, batch.items, results)


def _with_keys_of_items(checkpoint: Checkpoint | None) -> Checkpoint | None:
    """Let the key of a batch be the keys of its items."""
    if checkpoint is None:
        return None
    key = checkpoint.key
    return checkpoint.with_key(
        lambda batch: batch.items if key is None else [key(item) for item in batch.items]
    )


def _with_costs_of_items(rate: tuple[RateLimit, ...] | None) -> tuple[RateLimit, ...] | None:
    """Let the cost of a batch be that of its items."""
    if rate is None:
        return None
    return tuple(limit.with_cost(_sum_of(limit)) if limit.has_cost else limit for limit in rate)


def _sum_of(limit: RateLimit) -> Callable[[Batch], float]:
    return lambda batch: sum(map(limit.cost_of, batch.items))
