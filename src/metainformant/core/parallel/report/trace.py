"""A trace of a run in the trace-event format, which Perfetto and Chrome's about:tracing open.

It is compressed and written while the run goes on, so its size is no matter of memory. The format:
"Trace Event Format", https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
"""

from __future__ import annotations

import gzip
import json
import os
import threading

from .histogram import Histogram

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from typing import IO, Any

ENDINGS = (".json.gz", ".json")
# As many items have a slice each; of those after them, the slow, the failed and some others have.
MAX_SLICES = 1_000_000
_SLOW_PERCENT = 99.0
_ONE_IN = 1000
_PROCESS = 1
# The thread of events that concern no single worker.
_ENGINE = 0


class TraceWriter:
    """The file of a trace, written beside its place and renamed at the end. Times are in seconds.

    Args:
        path: the file, which ends in `.json.gz` or `.json`.
        process: what the group of all threads is called.
        max_slices: how many items have a slice each before only some have.

    Raises:
        OSError: whenever it can't be written.
    """

    def __init__(self, path: str, process: str, *, max_slices: int = MAX_SLICES) -> None:
        self._path = path
        self._part = f"{path}.{os.getpid()}.{threading.get_ident()}.part"
        self._file: IO[bytes]
        if path.lower().endswith(".gz"):
            self._file = gzip.open(self._part, "wb", compresslevel=3)  # type: ignore[assignment]  # noqa: SIM115
        else:
            self._file = open(self._part, "wb")  # noqa: SIM115  # closed by `close`
        self._threads: dict[str, int] = {}
        self._durations = Histogram()
        self._max_slices = max_slices
        self._slices = 0
        self._left_out = 0  # items without a slice
        self._is_first = True
        self._file.write(b'{"displayTimeUnit": "ms", "traceEvents": [\n')
        self._name("process_name", _ENGINE, process)
        self._name("thread_name", _ENGINE, "engine")

    def chunk(
        self,
        worker: str,
        started: float,
        ended: float,
        first: int,
        count: int,
        name: Callable[[int], str],
        times: Sequence[float],
        failed: Mapping[int, BaseException] | Collection[int],
        attempt: int,
    ) -> None:
        """Write the slice of a chunk, and one for each of its items whose times are known."""
        thread = self._thread(worker)
        last = f" to {first + count - 1}" if count > 1 else ""
        many = f"{count} items" if count != 1 else "1 item"
        args = {"items": count, "failed": len(failed), "attempt": attempt}
        self._slice(f"{many}: {first}{last}", "chunk", started, ended, thread, args)
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
            self._slice(name(index), kind, begin, end, thread, {"index": index})

    def instant(self, name: str, at: float, worker: str | None = None) -> None:
        """Write something that happened at one moment, to a worker or to the run."""
        thread = _ENGINE if worker is None else self._thread(worker)
        scope = "p" if worker is None else "t"
        self._event({"name": name, "ph": "i", "s": scope, "ts": _us(at), "tid": thread})

    def counters(self, at: float, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._event({"name": name, "ph": "C", "ts": _us(at), "args": {name: value}})

    def close(self, about: Mapping[str, Any]) -> None:
        """Write the end, with what is said about the run, and put the file into its place."""
        other = {
            **about,
            "slices": self._slices,
            "items without a slice": self._left_out,
        }
        try:
            self._file.write(f'\n],\n"otherData": {json.dumps(other)}}}\n'.encode())
            self._file.close()
            os.replace(self._part, self._path)
        except BaseException:
            self.discard()
            raise

    def discard(self) -> None:
        """Give the file up."""
        try:
            self._file.close()
        except OSError:  # it is full, which is why
            pass
        finally:
            if os.path.exists(self._part):
                os.unlink(self._part)

    def _thread(self, worker: str) -> int:
        number = self._threads.get(worker)
        if number is None:
            number = self._threads[worker] = len(self._threads) + 1
            self._name("thread_name", number, worker)
        return number

    def _name(self, what: str, thread: int, name: str) -> None:
        self._event({"name": what, "ph": "M", "tid": thread, "args": {"name": name}})

    def _slice(
        self, name: str, kind: str, start: float, end: float, thread: int, args: dict[str, Any]
    ) -> None:
        event: dict[str, Any] = {
            "name": name,
            "cat": kind,
            "ph": "X",
            "ts": _us(start),
            "dur": max(0.0, _us(end) - _us(start)),
            "tid": thread,
            "args": args,
        }
        if kind == "failed":
            event["cname"] = "terrible"  # which is red
        self._event(event)

    def _event(self, event: dict[str, Any]) -> None:
        event["pid"] = _PROCESS
        text = json.dumps(event)
        self._file.write((text if self._is_first else f",\n{text}").encode())
        self._is_first = False


def _us(seconds: float) -> float:
    """Return microseconds, the unit of the format, to the nanosecond."""
    return round(seconds * 1e6, 3)
