"""What a report keeps of a run for a trace of it: a sample of bounded size. Pure."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from .histogram import Histogram

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from typing import Any

    from .trace import TraceWriter

_T = TypeVar("_T")

# Slices of chunks and of items that are kept: of those with something special, and of the others.
MAX_SPECIAL = 10_000
MAX_PLAIN = 40_000
# A chunk of more items than this has no slices of its items.
_MAX_TIMED = 4_000
_MAX_COUNTERS = 2_000
_MAX_MOMENTS = 5_000
_SLOW_PERCENT = 99.0


class Sample(Generic[_T]):
    """Things of which a limited weight is kept, evenly spread over all that came.

    Whenever they are too heavy, every second one is dropped, and from then on only half as many
    of those that come are kept.

    >>> sample = Sample(4)
    >>> [number for number in range(10) if sample.add(number)]
    [4, 8]
    >>> sample.things()
    [0, 4, 8]
    """

    def __init__(self, max_weight: int) -> None:
        self._max_weight = max_weight
        self._kept: list[tuple[_T, int]] = []
        self._weight = 0
        self._came = 0
        self._step = 1

    def add(self, thing: _T, weight: int = 1) -> bool:
        """Keep the thing, or not; return whether something was dropped for it."""
        self._came += 1
        if (self._came - 1) % self._step:
            return False
        self._kept.append((thing, weight))
        self._weight += weight
        if self._weight <= self._max_weight:
            return False
        while self._weight > self._max_weight and len(self._kept) > 1:
            self._kept = self._kept[::2]
            self._weight = sum(weight for _, weight in self._kept)
            self._step *= 2
        return True

    def things(self) -> list[_T]:
        return [thing for thing, _ in self._kept]


class _Chunk(NamedTuple):
    worker: str
    started: float
    ended: float
    first: int
    items: int
    names: dict[int, str]  # of items that failed, and of the slowest; by index
    times: array[float] | None
    failed: tuple[int, ...]
    attempt: int


class Track:
    """The trace of a run, kept to be written later; it takes what a `TraceWriter` takes.

    Args:
        began: when the run began, by the clock of all runs.

    Attributes:
        about: what is said about the run; None while it goes on.
    """

    def __init__(self, began: float) -> None:
        self.began = began
        self.about: Mapping[str, Any] | None = None
        self._process = ""
        self._plain: Sample[_Chunk] = Sample(MAX_PLAIN)
        self._special: Sample[_Chunk] = Sample(MAX_SPECIAL)
        self._moments: Sample[tuple[str, float, str | None]] = Sample(_MAX_MOMENTS)
        self._counters: Sample[tuple[float, Mapping[str, float]]] = Sample(_MAX_COUNTERS)
        self._items = 0
        self._means = Histogram()  # seconds per item, of chunks
        # Seconds per item from which on a chunk is special; known once something was dropped.
        self._slow_from = float("inf")

    def begin(self, process: str) -> None:
        self._process = process

    def chunk(
        self,
        worker: str,
        started: float,
        ended: float,
        first: int,
        count: int,
        name: Callable[[int], str],
        times: Sequence[float],
        failed: Collection[int],
        attempt: int,
    ) -> None:
        """Keep a chunk, or not; the text of an item is made only if it says something."""
        self._items += count
        each = (ended - started) / max(1, count)
        self._means.add(each)
        is_special = bool(failed) or each > self._slow_from
        is_timed = count < len(times) <= _MAX_TIMED
        names = {}
        if is_timed and is_special:
            longest = max(range(count), key=lambda at: times[at + 1] - times[at], default=0)
            names = {first + at: name(first + at) for at in (*failed, longest)}
        kept = _Chunk(
            worker,
            started,
            ended,
            first,
            count,
            names,
            array("d", times) if is_timed else None,
            tuple(failed),
            attempt,
        )
        sample = self._special if is_special else self._plain
        if sample.add(kept, 1 + (count if is_timed else 0)):
            self._slow_from = self._means.percentile(_SLOW_PERCENT)

    def instant(self, name: str, at: float, worker: str | None = None) -> None:
        self._moments.add((name, at, worker))

    def counters(self, at: float, values: Mapping[str, float]) -> None:
        self._counters.add((at, values))

    def close(self, about: Mapping[str, Any]) -> None:
        self.about = about

    def discard(self) -> None:
        """Do nothing: what is kept is in no file."""

    def write(self, writer: TraceWriter, later: float) -> None:
        """Write all that was kept, `later` seconds after the beginning of the trace."""
        writer.begin(self._process)
        chunks = [*self._special.things(), *self._plain.things()]
        for chunk in sorted(chunks, key=lambda chunk: chunk.started):
            names = chunk.names
            writer.chunk(
                chunk.worker,
                chunk.started + later,
                chunk.ended + later,
                chunk.first,
                chunk.items,
                lambda index, names=names: names.get(index, f"item {index}"),  # type: ignore[misc]
                [at + later for at in chunk.times or ()],
                chunk.failed,
                chunk.attempt,
            )
        writer.leave_out(self._items - sum(chunk.items for chunk in chunks))
        for name, at, worker in self._moments.things():
            writer.instant(name, at + later, worker)
        for at, values in self._counters.things():
            writer.counters(at + later, values)
