"""A chunk in the handles of a worker in another process or interpreter, seen from outside."""

from __future__ import annotations

import pickle
import sys
import weakref
from collections.abc import Callable
from time import monotonic
from typing import Any

from ...engine.backend import Finished
from ...errors import Frame, ParallelError
from ..ipc.exceptions import unpack
from .handle import WorkerHandle
from .result_buffer import Header, Kind, ResultBuffer, ResultSlice

# A worker that is so many items away from a cut can't have got there unseen.
_SAFE_DISTANCE_ITEMS = 1000


class RemoteJob:
    """Owned by the engine's thread."""

    def __init__(
        self,
        items: list[Any],
        first: int,
        attempt: int,
        number: int,
        worker_abandoned: Callable[[WorkerHandle], None],
        hear: Callable[[WorkerHandle], None],
        *,
        timed: bool,
    ) -> None:
        self.items = items
        self.first = first
        self.attempt = attempt
        self.number = number
        self._on_abandon = (
            worker_abandoned  # to be told when the job is given up while a worker has it
        )
        self._hear = hear  # takes all that a worker has said
        self.timed = timed
        self.handle: WorkerHandle | None = None  # who runs it now
        self._abandoned_by: weakref.ref[WorkerHandle] | None = (
            None  # who had it when it was parted with
        )
        self.worker = ""  # the name of who runs or has run it
        self.sent = 0  # how many of the items the worker has got
        self.one_by_one = False  # whether each item is to be pickled on its own
        self.is_abandoned = False
        self.is_ended = False
        self.ended = 0.0
        self.out_of_band: dict[int, Callable[[], Any]] = {}  # results that came beside the buffer
        self._started: float | None = None
        self._seen = 0  # how many items are known to be finished
        # Since it was sent: the first position that was cut, and where what was taken back begins.
        self._cut_at = self._taken_from = sys.maxsize
        # What was read of the buffer so far.
        self._values: list[Any] = []
        self._failed: dict[int, BaseException] = {}
        self._times: list[float] = []
        self._slices: list[tuple[int, ResultSlice]] = []  # and what was copied, but not read yet

    def will_expire(self, position: int, at: float) -> None:
        if self.handle is not None:
            buffer = self.handle.buffer
            buffer.header_times[Header.EXPIRES_AT] = at
            buffer.header[Header.EXPIRES_POSITION] = position

    @property
    def started(self) -> float | None:
        if self._started is None and self.has_begun():
            assert self.handle is not None  # noqa: S101
            self._started = self.handle.buffer.header_times[Header.STARTED]
        return self._started

    def has_begun(self) -> bool:
        """Whether its worker has read its items. False once it has no worker."""
        return self.handle is not None and self.handle.buffer.header[Header.JOB] == self.number

    def completed(self) -> int:
        if self.handle is not None:
            self._seen = self.handle.buffer.finished(self._seen, self.sent)
        return self._seen

    def truncate(self, keep: int) -> int:
        if self.handle is None:
            if not self.is_ended:
                del self.items[keep:]
                return keep
        else:
            buffer = self.handle.buffer
            buffer.forbid(keep, self.sent)
            self._cut_at = min(self._cut_at, keep)
            if self.completed() + _SAFE_DISTANCE_ITEMS >= keep:
                buffer.fence()
        done = self.completed()
        taken_from = keep if done < keep else done + 1
        self._taken_from = min(self._taken_from, taken_from)
        return taken_from

    def peek(self, stop: int) -> Finished:
        self.completed()
        if self.handle is not None:
            self.handle.buffer.fence(ordered=True)
            if self._lacks_results(self.handle.buffer, stop):
                self._hear(self.handle)  # they were sent before they were noted
            self._copy(stop)
        self._read()
        failed = {at: error for at, error in self._failed.items() if at < stop}
        return Finished(self._values[:stop], failed, self._times_until(stop, monotonic()))

    def finish(self) -> Finished:
        self._read()
        count = len(self._values)
        return Finished(self._values, self._failed, self._times_until(count, self.ended))

    def abandon(self) -> bool:
        if self.is_ended:
            return False
        self.is_abandoned = True
        if self.handle is not None:
            self.handle.buffer.header[Header.CANCELLED] = self.number
            self._on_abandon(self.handle)
        return True

    def interrupt(self) -> None:
        if self.handle is not None:
            self.handle.end_call(self.number, self._seen)

    def is_running(self) -> bool:
        handle = self.handle if self._abandoned_by is None else self._abandoned_by()
        return handle is not None and handle.runs(self.number)

    def stack(self) -> tuple[Frame, ...]:
        return () if self.handle is None else self.handle.stack()

    # For the backend

    def resend(self) -> None:
        """Its worker has not begun: another may, or the same, if items come one by one."""
        self.one_by_one = True
        self.handle = None
        del self.items[self._taken_from :]
        self._cut_at = self._taken_from = sys.maxsize

    def part(self) -> None:
        """It was given up, and its worker has come back from it or is gone.

        Who was told of that may still ask how it is, and must not keep the worker alive for that.
        """
        self._abandoned_by = None if self.handle is None else weakref.ref(self.handle)
        self.handle = None
        self.items = []
        self.out_of_band.clear()
        self._on_abandon = self._hear = _nothing

    def end(self, loss: Callable[[int, Any], BaseException] | None = None) -> None:
        """The job is over: copy all that was noted, and let go of the worker.

        `loss` makes the failure of the item in flight, if that was lost together with the worker.
        """
        handle = self.handle
        assert handle is not None  # noqa: S101
        done = self.completed()
        self._copy(done)
        _ = self.started
        self.ended = monotonic()
        if loss is None:
            self.ended = handle.buffer.header_times[Header.ENDED]
        elif self._is_in_flight(handle.buffer, done):
            if self.timed:
                self._times.append(handle.buffer.times[done] if self._started else self.ended)
            self._read()
            error = loss(self.first + done, self.items[done])
            self._failed[done] = error
            self._values.append(error)
            self._seen = done + 1
        self.is_ended = True
        self.handle = None

    def _is_in_flight(self, buffer: ResultBuffer, position: int) -> bool:
        """Whether a worker that died was running the item, or was about to.

        If the item is where the job was cut, either is possible, unless the job was over. Then it
        counts as run: better a loss that is told than an item that is run twice.
        """
        if position >= min(self.sent, self._taken_from):
            return False
        if buffer.header[Header.JOB] == self.number and buffer.header_times[Header.ENDED]:
            return False
        return bool(buffer.permits[position]) or position >= self._cut_at

    def _lacks_results(self, buffer: ResultBuffer, stop: int) -> bool:
        start = self._copied()
        kinds = bytes(buffer.kinds[start:stop])
        return any(
            kind in (Kind.OUT_OF_BAND, Kind.FAILED_OUT_OF_BAND) and at not in self.out_of_band
            for at, kind in enumerate(kinds, start)
        )

    def _copied(self) -> int:
        return len(self._values) + sum(len(slice_.kinds) for _, slice_ in self._slices)

    def _copy(self, stop: int) -> None:
        start = self._copied()
        if start < stop and self.handle is not None:
            slice_ = self.handle.buffer.copy(start, stop, timed=self.timed)
            self._slices.append((start, slice_))
            self._times.extend(slice_.times)

    def _read(self) -> None:
        """Turn what was copied into values."""
        for first, slice_ in self._slices:
            position = first
            for kind, values in slice_.values():
                if kind == Kind.PICKLED:
                    for at, record in enumerate(values, position):
                        self._add(at, pickle.loads, record)
                elif kind == Kind.FAILED:
                    for at, record in enumerate(values, position):
                        self._add_failure(at, record)
                elif kind == Kind.FAILED_OUT_OF_BAND:
                    for at in range(position, position + len(values)):
                        self._add_failure_out_of_band(at, self.out_of_band.pop(at))
                elif kind == Kind.OUT_OF_BAND:
                    for at in range(position, position + len(values)):
                        self._add(at, self.out_of_band.pop(at))
                else:
                    self._values.extend(values)
                position += len(values)
        self._slices.clear()

    def _add_failure(self, position: int, record: bytes) -> None:
        error = self._failed[position] = unpack(record, self.worker)
        self._values.append(error)

    def _add_failure_out_of_band(self, position: int, read: Callable[[], bytes]) -> None:
        try:
            record = read()
        except Exception:
            self._add(position, read)  # it fails again
        else:
            self._add_failure(position, record)

    def _add(self, position: int, read: Callable[..., Any], *arguments: Any) -> None:
        try:
            self._values.append(read(*arguments))
        except Exception as error:
            failure = ParallelError(
                f"the result can't be read: {type(error).__name__}: {error}. "
                "Return what can be pickled and read again here."
            )
            failure.__cause__ = error
            self._failed[position] = failure
            self._values.append(failure)

    def _times_until(self, stop: int, now: float) -> list[float]:
        if not self.timed:
            return []
        times = self._times[: stop + 1]
        return times if len(times) > stop else [*times, now]


def _nothing(_hand: WorkerHandle) -> None:
    """What a job tells that nobody waits for."""
