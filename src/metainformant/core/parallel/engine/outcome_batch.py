"""Outcomes of consecutive items, as they come from a worker."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from ..outcome import Outcome
    from .source import Chunk


class OutcomeBatch:
    """Outcomes of consecutive items.

    Attributes:
        chunk: has the items.
        start: index of the first item.
        values: one per item; a failed item's exception stands among them.
        failed: the failures, by index. A function may return an exception that it never raised.
        worker: name of the worker that ran the items.
        times: when each item was started, and when the last one ended, if the run keeps times.
        names_items: whether the failures are the engine's own, whose text names the item.
        is_recorded: whether an earlier run had these outcomes, and a checkpoint has kept them.
    """

    __slots__ = (
        "chunk",
        "failed",
        "is_recorded",
        "names_items",
        "start",
        "times",
        "values",
        "worker",
    )

    def __init__(
        self,
        chunk: Chunk,
        start: int,
        values: list[Any],
        failed: dict[int, BaseException],
        worker: str = "",
        times: list[float] | None = None,
        *,
        names_items: bool = False,
        is_recorded: bool = False,
    ) -> None:
        self.chunk: Chunk = chunk
        self.start: int = start
        self.values: list[Any] = values
        self.failed: dict[int, BaseException] = failed
        self.worker: str = worker
        self.times: list[float] = times or []
        self.names_items: bool = names_items
        self.is_recorded: bool = is_recorded

    def outcomes(self, epoch: float = 0.0) -> Iterator[Outcome[Any, Any]]:
        """Yield one record per item; `epoch` is added to the times."""
        from ..outcome import Outcome  # needed only by those who ask for it

        failed, times, item = self.failed, self.times, self.chunk.item
        attempts, worker, recorded = self.chunk.attempt, self.worker, self.is_recorded
        throttled = self.chunk.throttled
        started = seconds = None
        for position, value in enumerate(self.values):
            index = self.start + position
            if times:
                started = times[position] + epoch
                seconds = times[position + 1] - times[position]
            result, error = (None, value) if index in failed else (value, None)
            run = attempts, started, seconds, worker, recorded, throttled
            yield Outcome(index, item(index), result, error, *run)

    def forget_items(self, count: int) -> None:
        """Drop the references to the `count` items. Only for input that nobody else has."""
        self.chunk.part(self.start, self.start + count).forget()

    def successes(self) -> list[Any]:
        """Return the values without those of failed items."""
        if not self.failed:
            return self.values
        return [value for _, value in self.successes_by_index()]

    def successes_by_index(self) -> Iterator[tuple[int, Any]]:
        for index, value in enumerate(self.values, self.start):
            if index not in self.failed:
                yield index, value
