"""A trace of a run in the trace-event format, which Perfetto and Chrome's about:tracing open.

It is compressed and written while the run goes on, so its size is no matter of memory. The format:
"Trace Event Format", https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import weakref

from ..whole_file import WholeFile
from .histogram import Histogram
from .trace_places import TracePlaces

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from typing import Any, BinaryIO

    from .trace_places import Place

ENDINGS = (".json.gz", ".json")
# As many items have a slice each; of those after them, the slow, the failed and some others have.
MAX_SLICES = 1_000_000
_SLOW_PERCENT = 99.0
_ONE_IN = 1000


class TraceWriter:
    """The file of a trace, which takes its name at the end. Times are in seconds.

    `begin` comes first; it may be called again, for another run. If it is dropped before it is
    closed, or the interpreter exits, the file is given up.

    Args:
        path: the file, which ends in `.json.gz` or `.json`.
        max_slices: how many items have a slice each before only some have.

    Raises:
        OSError: whenever it can't be written.
    """

    def __init__(self, path: str, *, max_slices: int = MAX_SLICES) -> None:
        self._whole = WholeFile(path)
        self._gzip: gzip.GzipFile | None = None
        if path.lower().endswith(".gz"):
            self._gzip = gzip.GzipFile("", "wb", 3, self._whole.file)
        self._file: BinaryIO | gzip.GzipFile = self._gzip or self._whole.file
        # A stream that is dropped may never tell that it has ended.
        self._give_up = weakref.finalize(self, _give_up, self._gzip, self._whole, os.getpid())
        self._places = TracePlaces(self._name)
        self._durations = Histogram()
        self._max_slices = max_slices
        self._slices = 0
        self._left_out = 0  # items without a slice
        self._is_first = True
        self._file.write(b'{"displayTimeUnit": "ms", "traceEvents": [\n')

    def begin(self, process: str) -> None:
        """Begin a group of threads of that name; what is written from now on is in it."""
        self._places.begin(process)

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
        """Write the slice of a chunk, and one for each of its items whose times are known."""
        place = self._places.of_chunk(worker, started, ended)
        last = f" to {first + count - 1}" if count > 1 else ""
        many = f"{count} items" if count != 1 else "1 item"
        args = {"items": count, "failed": len(failed), "attempt": attempt}
        self._slice(f"{many}: {first}{last}", "chunk", started, ended, place, args)
        if len(times) <= count:
            self._left_out += count
            return
        is_full = self._slices + count > self._max_slices
        slow = self._durations.percentile(_SLOW_PERCENT) if is_full else 0.0
        for position in range(count):
            begin, end = times[position], times[position + 1]
            index, is_failed = first + position, position in failed
            self._durations.add(end - begin)
            if is_full and not (is_failed or end - begin > slow or index % _ONE_IN == 0):
                self._left_out += 1
                continue
            self._slices += 1
            kind = "failed" if is_failed else "item"
            self._slice(name(index), kind, begin, end, place, {"index": index})

    def instant(self, name: str, at: float, worker: str | None = None) -> None:
        """Write something that happened at one moment, to a worker or to the run."""
        place = self._places.engine if worker is None else self._places.of_worker(worker)
        scope = "p" if worker is None else "t"
        self._event({"name": name, "ph": "i", "s": scope, "ts": _us(at)}, place)

    def counters(self, at: float, values: Mapping[str, float]) -> None:
        """Write what some numbers of the run were at one moment."""
        for name, value in values.items():
            event = {"name": name, "ph": "C", "ts": _us(at), "args": {name: value}}
            self._event(event, self._places.engine)

    def leave_out(self, count: int) -> None:
        """Count items that have no slice, nor one of their chunk."""
        self._left_out += count

    def close(self, about: Mapping[str, Any]) -> None:
        """Write the end, with what is said about the run, and put the file into its place."""
        other = {
            **about,
            "slices": self._slices,
            "items without a slice": self._left_out,
        }
        try:
            self._file.write(f'\n],\n"otherData": {json.dumps(other)}}}\n'.encode())
            if self._gzip is not None:
                self._gzip.close()
        except BaseException:
            self.discard()
            raise
        self._give_up.detach()
        self._whole.commit()

    def discard(self) -> None:
        """Give the file up."""
        self._give_up()

    def _name(self, what: str, place: Place, name: str) -> None:
        self._event({"name": what, "ph": "M", "args": {"name": name}}, place)

    def _slice(
        self, name: str, kind: str, start: float, end: float, place: Place, args: dict[str, Any]
    ) -> None:
        event: dict[str, Any] = {
            "name": name,
            "cat": kind,
            "ph": "X",
            "ts": _us(start),
            "dur": max(0.0, _us(end) - _us(start)),
            "args": args,
        }
        if kind == "failed":
            event["cname"] = "terrible"  # which is red
        self._event(event, place)

    def _event(self, event: dict[str, Any], place: Place) -> None:
        event["pid"], event["tid"] = place
        text = json.dumps(event)
        self._file.write((text if self._is_first else f",\n{text}").encode())
        self._is_first = False


def _give_up(packed: gzip.GzipFile | None, whole: WholeFile, process: int) -> None:
    if os.getpid() != process:  # it is a fork, and the file its parent's
        return
    if packed is not None:
        # What it holds would be written when it is collected, to a file that is closed by then.
        with contextlib.suppress(OSError):
            packed.close()
    whole.discard()


def _us(seconds: float) -> float:
    """Return microseconds, the unit of the format, to the nanosecond."""
    return round(seconds * 1e6, 3)
