"""The outcomes of a job: copied from the buffer while a worker has it, and read when needed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...engine.backend import Finished
from ...unpickling import loads
from ..ipc.exceptions import unpack, unreadable_result
from .result_buffer import Kind, ResultBuffer, ResultSlice


class JobResults:
    """Outcomes of the first items, without a gap.

    Attributes:
        out_of_band: what reads the results that came beside the buffer, by position.
    """

    def __init__(self, *, timed: bool) -> None:
        self.out_of_band: dict[int, Callable[[], Any]] = {}
        self._timed = timed
        self._worker = ""  # who ran the items, for the origin of failures
        self._copied = 0  # how many items were copied
        self._slices: list[tuple[int, ResultSlice]] = []  # those that are not read yet
        self._values: list[Any] = []
        self._failed: dict[int, BaseException] = {}
        self._times: list[float] = []

    def copy(self, buffer: ResultBuffer, stop: int, worker: str) -> None:
        """Copy what is noted of the items before `stop`, which are finished."""
        self._worker = worker
        if self._copied < stop:
            slice_ = buffer.copy(self._copied, stop, timed=self._timed)
            self._slices.append((self._copied, slice_))
            self._times.extend(slice_.times)
            self._copied = stop

    def lacks_messages(self, buffer: ResultBuffer, stop: int) -> bool:
        """Return whether results were sent beside the buffer that have not been received yet."""
        kinds = bytes(buffer.kinds[self._copied : stop])
        if Kind.OUT_OF_BAND not in kinds and Kind.FAILED_OUT_OF_BAND not in kinds:
            return False
        return any(
            kind in (Kind.OUT_OF_BAND, Kind.FAILED_OUT_OF_BAND) and at not in self.out_of_band
            for at, kind in enumerate(kinds, self._copied)
        )

    def add_loss(self, error: BaseException, started: float) -> None:
        """Add the failure of the item in flight, which was lost together with its worker."""
        self._read()
        if self._timed:
            self._times.append(started)
        self._add_failed(error)
        self._copied += 1

    def first(self, stop: int, now: float) -> Finished:
        """Return the outcomes of the first `stop` items."""
        self._read()
        failed = {at: error for at, error in self._failed.items() if at < stop}
        return Finished(self._values[:stop], failed, self._times_until(stop, now))

    def all(self, ended: float) -> Finished:
        """Return all outcomes; the last item ended then."""
        self._read()
        return Finished(self._values, self._failed, self._times_until(len(self._values), ended))

    def close(self) -> None:
        """Let go of what was not copied."""
        self._read()
        self.out_of_band.clear()

    def _times_until(self, stop: int, now: float) -> list[float]:
        if not self._timed:
            return []
        times = self._times[: stop + 1]
        return times if len(times) > stop else [*times, now]

    def _read(self) -> None:
        """Turn what was copied into values."""
        for first, slice_ in self._slices:
            position = first
            for kind, values in slice_.values():
                if kind == Kind.PICKLED:
                    for record in values:
                        self._add(loads, record)
                elif kind == Kind.FAILED:
                    for record in values:
                        self._add_failed(unpack(record, self._worker))
                elif kind == Kind.FAILED_OUT_OF_BAND:
                    for at in range(position, position + len(values)):
                        self._add_failure_out_of_band(self.out_of_band.pop(at, _refuse))
                elif kind == Kind.OUT_OF_BAND:
                    for at in range(position, position + len(values)):
                        self._add(self.out_of_band.pop(at, _refuse))
                else:
                    self._values.extend(values)
                position += len(values)
        self._slices.clear()

    def _add(self, read: Callable[..., Any], *arguments: Any) -> None:
        try:
            self._values.append(read(*arguments))
        except Exception as error:
            self._add_failed(unreadable_result(error))

    def _add_failed(self, error: BaseException) -> None:
        self._failed[len(self._values)] = error
        self._values.append(error)

    def _add_failure_out_of_band(self, read: Callable[[], bytes]) -> None:
        try:
            record = read()
        except Exception as error:
            self._add_failed(unreadable_result(error))
        else:
            self._add_failed(unpack(record, self._worker))


def _refuse() -> Any:
    raise OSError("it could not be received")
