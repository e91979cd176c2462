"""Shared memory in which a worker records the outcome of each item, readable at any time.

The worker records an outcome before it starts the next item. So the engine's side sees at any time
how far the worker is, and if the worker dies, all that it had finished is there.

The layout, for the items of one job, by their position:

    header    a few numbers, see `Header`
    permits   a byte each: 1 if the item may be started. Written by the engine's side
    kinds     a byte each: 0 until the item is finished, then what its outcome is, see `Kind`
    column    8 bytes each: the value if it is an int or a float, else where it is in the arena
    times     8 bytes each: when the item was started, if that is to be known
    arena     pickled values

Taking work back: the engine's side first clears permits, then counts finished items. The worker
records that an item is finished before it looks at the permit of the next. So a count below the
first cleared permit proves that nothing from there on was or will be started. README.md has the
argument, and why `fence` is needed, since no lock is involved.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from itertools import groupby
from typing import Any, NamedTuple

from ...host.usage import Usage
from ...worker.frames import own_frame
from ..ipc.payload import LARGE
from ..ipc.shared_memory import Segment

# The most items of one job.
CAPACITY = 16384
_ARENA = 2**20
_HEADER = 128
_PERMITS = _HEADER
_KINDS = _PERMITS + CAPACITY
_COLUMN = _KINDS + CAPACITY
_TIMES = _COLUMN + 8 * CAPACITY
_START = _TIMES + 8 * (CAPACITY + 1)
SIZE = _START + _ARENA

# What is written by one processor is seen by all others much sooner than this, in seconds.
_SEEN = 50e-6
# Whether writes are also seen in the order in which they were made.
_MACHINE = os.environ.get("PROCESSOR_ARCHITECTURE", "") if os.name == "nt" else os.uname().machine
_IN_ORDER = _MACHINE.lower() in ("x86_64", "amd64", "i386", "i686", "x86")


class Header:
    """Places in the header. The worker writes the first four and the last four.

    The engine's side writes the others.
    """

    JOB = 0  # number of the job that is being run
    STARTED = 1  # when its first item was started; a float, like all times
    ENDED = 2  # when the last one ended; 0 before
    ARENA = 3  # where the free part of the arena starts
    END_JOB = 4  # the call to be ended: number of the job and position of the item + 1
    END_POSITION = 5
    CANCELLED = 6  # number of a job that nobody waits for
    EXPIRES_POSITION = 7  # the item that is known to be overdue at that time
    EXPIRES_AT = 8
    # What the job used, if that is measured; see `host/usage.py`.
    CPU_SECONDS = 9  # negative if that is not known
    DELAYED = 10  # negative as above
    PEAK_MEMORY = 11
    MAIN_SECONDS = 12


class Kind:
    """The kinds of outcomes, as bytes in `kinds`."""

    INT = 1
    FLOAT = 2
    NONE = 3
    TRUE = 4
    FALSE = 5
    PICKLED = 6
    FAILED = 7  # a pickled failure
    OUT_OF_BAND = 8  # it was sent out of band, being too large
    FAILED_OUT_OF_BAND = 9  # so was the failure
    TEXT = 10  # a str, in UTF-8


class ResultSlice(NamedTuple):
    """A copy of the outcomes of consecutive items."""

    kinds: bytes
    column: memoryview  # of integers
    arena: bytes
    times: list[float]

    def values(self) -> Iterator[tuple[int, list[Any]]]:
        """Yield runs of outcomes of one kind. Those that are pickled come as bytes."""
        start = 0
        for kind, count in _runs(self.kinds):
            stop = start + count
            part = self.column[start:stop]
            if kind == Kind.INT:
                yield kind, part.tolist()
            elif kind == Kind.FLOAT:
                yield kind, part.cast("B").cast("d").tolist()
            elif kind in _CONSTANTS:
                yield kind, [_CONSTANTS[kind]] * (stop - start)
            elif kind in (Kind.OUT_OF_BAND, Kind.FAILED_OUT_OF_BAND):
                yield kind, list(range(start, stop))
            elif kind == Kind.TEXT:
                yield kind, [str(record, "utf-8") for record in self._records(part)]
            else:
                yield kind, self._records(part)
            start = stop

    def _records(self, part: memoryview) -> list[bytes]:
        arena = self.arena
        halves = part.cast("B").cast("I")  # of each place
        starts, lengths = halves[_HIGH::2].tolist(), halves[1 - _HIGH :: 2].tolist()
        return [arena[at : at + length] for at, length in zip(starts, lengths, strict=True)]


_HIGH = 1 if sys.byteorder == "little" else 0


def _runs(kinds: bytes) -> Iterator[tuple[int, int]]:
    if kinds and kinds.count(kinds[0]) == len(kinds):  # as it mostly is
        yield kinds[0], len(kinds)
    else:
        for kind, run in groupby(kinds):
            yield kind, len(list(run))


_CONSTANTS = {Kind.NONE: None, Kind.TRUE: True, Kind.FALSE: False}


class ResultBuffer:
    """The view of the shared memory that both sides have."""

    def __init__(self, segment: Segment) -> None:
        self._memory = segment.memory
        view = memoryview(self._memory)
        self.header: memoryview[int] = view[:_HEADER].cast("q")
        self.header_times: memoryview[float] = view[:_HEADER].cast("d")
        self.permits: memoryview[int] = view[_PERMITS:_KINDS]
        self.kinds: memoryview[int] = view[_KINDS:_COLUMN]
        self.column: memoryview[int] = view[_COLUMN:_TIMES].cast("q")
        self.floats: memoryview[float] = view[_COLUMN:_TIMES].cast("d")
        self.times: memoryview[float] = view[_TIMES:_START].cast("d")
        self._arena = view[_START:]

    # The engine's side

    def prepare(self, count: int) -> None:
        """Make room for a job of `count` items, before it is sent."""
        self.kinds[:count] = bytes(count)
        self.permits[:count] = b"\1" * count
        self.header[Header.EXPIRES_POSITION] = -1
        self.header_times[Header.CPU_SECONDS] = -1.0  # not measured

    def finished(self, seen: int, count: int) -> int:
        """Return how many of `count` items are finished, if `seen` are known to be."""
        at = self._memory.find(b"\0", _KINDS + seen, _KINDS + count)
        return count if at < 0 else at - _KINDS

    def forbid(self, first: int, count: int) -> None:
        """Let no item from `first` on be started, except for one that may be starting just now."""
        if first < count:
            self.permits[first:count] = bytes(count - first)

    def fence(self, *, ordered: bool = False) -> None:
        """Wait until every write the worker made before it observed our last write is visible here.

        If `ordered`: every write that it made before one that we have seen.
        """
        if not (ordered and _IN_ORDER):
            time.sleep(_SEEN)

    def copy(self, start: int, stop: int, *, timed: bool) -> ResultSlice:
        """Copy the outcomes from position `start` up to `stop`, which are finished."""
        times: list[float] = [*self.times[start:stop]] if timed else []
        return ResultSlice(
            bytes(self.kinds[start:stop]),
            memoryview(bytes(self.column[start:stop].cast("B"))).cast("q"),
            bytes(self._arena[: self.header[Header.ARENA]]),
            times,
        )

    def usage(self) -> Usage | None:
        """Return what the job that has ended used; None if that was not noted."""
        cpu_seconds, delayed = self.header_times[Header.CPU_SECONDS : Header.DELAYED + 1]
        if cpu_seconds < 0:
            return None
        memory, main = self.header[Header.PEAK_MEMORY], self.header_times[Header.MAIN_SECONDS]
        return Usage(cpu_seconds, None if delayed < 0 else delayed, memory, main)

    # The worker's side

    def permitted(self, items: list[Any], timed: bool) -> Iterator[Any]:
        """Yield the items up to the first that may not be started, whatever is seen behind it.

        While permits are being cleared, any part of them may be seen to be cleared already.
        """
        allowed = self._allowed(items)
        return self._timed(allowed) if timed else allowed

    @own_frame
    def _allowed(self, items: list[Any]) -> Iterator[Any]:
        for item, permit in zip(items, self.permits, strict=False):
            if not permit:
                return
            yield item

    @own_frame
    def _timed(self, allowed: Iterator[Any]) -> Iterator[Any]:
        times, clock = self.times, time.monotonic
        for at, item in enumerate(allowed):
            times[at] = clock()
            yield item

    def write_usage(self, usage: Usage) -> None:
        """Note what a job has used."""
        self.header_times[Header.DELAYED] = -1.0 if usage.delayed is None else usage.delayed
        self.header[Header.PEAK_MEMORY] = usage.peak_memory
        self.header_times[Header.MAIN_SECONDS] = usage.main_seconds or 0.0
        self.header_times[Header.CPU_SECONDS] = usage.cpu_seconds

    def has_room(self) -> bool:
        """Return whether another outcome of any size that is written here fits."""
        return self.header[Header.ARENA] + LARGE <= _ARENA

    def write(self, position: int, kind: int, record: bytes) -> None:
        """Note a pickled outcome of less than LARGE bytes."""
        header = self.header
        at = header[Header.ARENA]
        end = at + len(record)
        self._arena[at:end] = record
        header[Header.ARENA] = end
        self.column[position] = at << 32 | len(record)
        self.kinds[position] = kind
