"""Outcome batches on their way to the caller: announced, put in order, collected to a list."""

from __future__ import annotations

from ..describe import note_failure
from ..options import NO_DEFAULT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, Protocol

    from ..engine.outcome_batch import OutcomeBatch
    from ..options import Options
    from ..validate import OnError

    OnComplete = Callable[[int, Any, Any], object]

    class Collector(Protocol):
        """A collection of the batches of a map, from which its list of results is made."""

        def add(self, batch: OutcomeBatch) -> None: ...

        def results(self) -> list[Any]: ...

        def fill(self, failure: Callable[[int], BaseException]) -> None:
            """Put a failure, made of the index, into each slot that has no outcome."""


class Selection:
    """The choice which values the caller gets: see the options `on_error`, `default`, `skip_none`.

    Attributes:
        skips_failures: whether failed items are left out.
        skips_none: whether results that are None are.
    """

    def __init__(
        self,
        on_error: OnError = "return",
        default: Any = NO_DEFAULT,
        skip_none: bool = False,
    ) -> None:
        self.skips_failures: bool = on_error == "skip"
        self.skips_none = skip_none
        self._default = default

    def slot(self, failure: BaseException) -> Any:
        """Return what stands in the slot of a failed item that has one."""
        return failure if self._default is NO_DEFAULT else self._default

    def slots(self, batch: OutcomeBatch) -> list[Any]:
        """Return a value for each item, also for those that are to be left out."""
        if self._default is not NO_DEFAULT:
            for index in batch.failed:
                batch.values[index - batch.start] = self._default
        return batch.values

    def values(self, batch: OutcomeBatch) -> list[Any]:
        """Return the values that a stream delivers."""
        values = batch.successes() if self.skips_failures else self.slots(batch)
        return self.without_none(values)

    def without_none(self, values: list[Any]) -> list[Any]:
        """Return the values without those that are to be left out since they are None."""
        if not self.skips_none:
            return values
        return [value for value in values if value is not None]


def make_selection(options: Options) -> Selection:
    return Selection(options.on_error, options.default, options.skip_none)


class SlotCollector:
    """Results in input order.

    Batches come nearly in order, so a list that grows is cheaper than one that is filled twice.

    Args:
        total: how many items there are.
        selection: what the caller gets.
        may_keep: whether nobody else uses the values of batches, so that their lists may be taken.
    """

    def __init__(self, total: int, selection: Selection, *, may_keep: bool = False) -> None:
        self._total = total
        self._selection = selection
        self._may_keep = may_keep
        self._values: list[Any] = []
        self._early: dict[int, list[Any]] = {}  # by index of the first: what comes after a gap
        self._skipped: set[int] | None = set() if selection.skips_failures else None

    def add(self, batch: OutcomeBatch) -> None:
        if self._skipped is not None:
            self._skipped.update(batch.failed)
        self._early[batch.start] = self._selection.slots(batch)
        self._append_early()

    def _append_early(self) -> None:
        """Append what does not come after a gap any more."""
        while self._early and len(self._values) in self._early:
            values = self._early.pop(len(self._values))
            if self._may_keep and len(values) > len(self._values):  # so move the fewer
                values[:0] = self._values
                self._values = values
            else:
                self._values += values

    def fill(self, failure: Callable[[int], BaseException]) -> None:
        while (index := len(self._values)) < self._total:
            self._values.append(self._selection.slot(failure(index)))
            if self._skipped is not None:
                self._skipped.add(index)
            self._append_early()

    def results(self) -> list[Any]:
        if self._skipped:
            skipped = self._skipped
            values = [value for index, value in enumerate(self._values) if index not in skipped]
            return self._selection.without_none(values)
        return self._selection.without_none(self._values)


class ReorderBuffer:
    """Batches that are held back until those before them have arrived."""

    def __init__(self) -> None:
        self._waiting: dict[int, OutcomeBatch] = {}
        self._position = 0
        self.held: int = 0  # how many items are held back

    def add(self, batch: OutcomeBatch) -> Iterator[OutcomeBatch]:
        """Yield the batches that are in order, now that `batch` has arrived."""
        self._waiting[batch.start] = batch
        self.held += len(batch.values)
        while self._position in self._waiting:
            ready = self._waiting.pop(self._position)
            self._position += len(ready.values)
            self.held -= len(ready.values)
            yield ready


def announce(batch: OutcomeBatch, on_complete: OnComplete | None) -> None:
    """Add notes to the failures of a batch; call `on_complete` with each success."""
    if batch.failed:
        _note_failures(batch)
    if on_complete is not None:
        item = batch.chunk.item
        for index, value in batch.successes_by_index():
            on_complete(index, item(index), value)


def _note_failures(batch: OutcomeBatch) -> None:
    """Add a note to each failure that names its item and its earlier attempts.

    The text of the engine's own failures names the item. Notes are added here and not in the
    engine, so that an engine within a worker adds none.
    """
    chunk = batch.chunk
    if batch.names_items and not chunk.past:
        return
    for index, error in batch.failed.items():
        note_failure(error, index, chunk.item(index), chunk.attempt, chunk.past)
