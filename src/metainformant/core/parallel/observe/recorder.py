"""The report of a run: what is recorded of it, and what is seen of the machine meanwhile."""

from __future__ import annotations

import logging
import os
import platform
import sys
import threading
from datetime import datetime
from time import monotonic

from ..describe import describe, error_in_words
from ..engine.events import Counts, Observer
from ..host.cpus import cpu_count
from ..host.gil import HAS_GIL
from ..host.gil_watch import watch_gil
from ..host.memory import used_memory
from ..host.usage import involuntary_switches, pressure_seconds, throttled_seconds
from ..options import OPTIONS
from ..report.record import NOT_YET
from ..report.report import Report

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, TypeVar

    from ..calls import MapCall
    from ..engine.ending import Ending
    from .live import LivePage
    from .recording import Recording

    _Number = TypeVar("_Number", int, float)

# Seconds between two looks at the memory of this process.
_LOOK_EVERY = 0.25
# Seconds between two looks at what threads do.
_WATCH_EVERY = 0.05
# Options that are no news in a report.
_NOT_SHOWN = frozenset({"report", "trace", "progress", "live"})


class RunRecorder(Observer):
    """The observer that shows a run on a live page, and adds it to a report at its end.

    Owned by the engine's thread, as is the record: a page gets finished data, which nobody changes
    any more.
    """

    interval = _WATCH_EVERY

    def __init__(
        self,
        call: MapCall,
        total: int | None,
        recording: Recording,
        live: LivePage | None = None,
    ) -> None:
        self._call = call
        self._total = total
        self._report = call.options.report or Report()
        self._live = live
        self._record = recording.record
        self._began = recording.began
        self._watch = watch_gil() if recording.shares_gil else None
        self._threads: dict[str, int] = {}  # native ids by names
        self._next_memory = 0.0
        self._clock_started = datetime.now().astimezone()
        self._throttled = throttled_seconds()
        self._pressure = pressure_seconds()
        self._switches = involuntary_switches()
        self._retried = 0
        self._host = _host()
        self._has_ended = False

    def on_progress(self, counts: Counts, elapsed: float) -> None:
        self._retried = counts.retried
        if elapsed >= self._next_memory:
            self._next_memory = elapsed + _LOOK_EVERY
            self._look_at_memory()
        if self._watch is not None:
            self._record.time.add_seen(*self._watch.look(self._native_ids(counts.workers)))
        if self._live is not None and self._live.wants_run():
            run = self._data(NOT_YET, "")
            self._report.complete(run)
            self._live.show(run)

    def _native_ids(self, workers: Sequence[str]) -> list[int]:
        if any(name not in self._threads for name in workers):
            self._threads = {thread.name: thread.native_id or 0 for thread in threading.enumerate()}
        return [self._threads[name] for name in workers if name in self._threads]

    def _look_at_memory(self) -> None:
        try:
            used = used_memory(os.getpid())
        except ImportError:  # outside Linux that takes psutil
            return
        self._record.timeline.peak("memory", monotonic() - self._began, used)

    def on_end(self, ending: Ending | None) -> None:
        if self._has_ended:
            return
        self._has_ended = True
        if self._watch is not None:
            self._watch.close()
        self._look_at_memory()
        run = self._data("interrupted" if ending is None else ending.kind, self._reason(ending))
        try:
            self._report.add(run)
        except OSError as error:  # no reason to lose the results
            logging.getLogger("metainformant.parallel").error(
                "%s: the report %s can't be written: %s",
                self._call.caller,
                self._report.path,
                error.strerror or error,
            )
        finally:
            if self._live is not None:
                self._live.close(run)

    def _reason(self, ending: Ending | None) -> str:
        """Return why the run is not complete, if that is no failure of an item."""
        if ending is None:
            return ""
        if ending.stop is not None:
            return ending.stop.reason
        if ending.error is None or ending.chunk is not None:
            return ""
        # What an input raises may quote an item.
        return error_in_words(ending.error) if self._report.items else type(ending.error).__name__

    def _data(self, ending: str, reason: str) -> dict[str, Any]:
        """Return all that is known of the run until now."""
        elapsed = monotonic() - self._began
        time = self._record.time
        time.throttled = throttled_seconds() - self._throttled
        time.pressure = _growth(pressure_seconds(), self._pressure)
        time.involuntary_switches = _growth(involuntary_switches(), self._switches)
        run = {**self._about(ending, reason), **self._record.data(elapsed, self._total)}
        run["counts"]["retried"] = self._retried
        return run

    def _about(self, ending: str, reason: str) -> dict[str, Any]:
        """Return what was called, where, and how that ended."""
        call = self._call
        return {
            "caller": call.caller,
            "function": getattr(call.func, "__qualname__", type(call.func).__qualname__),
            "backend": call.workers.kind,
            "max_workers": call.workers.count,
            "auto": call.workers.auto is not None,
            "rate": _starts_per_second(call),
            "started": self._clock_started.isoformat(timespec="milliseconds"),
            "ending": ending,
            "reason": reason,
            "options": {
                name: describe(getattr(call.options, name))
                for name, option in OPTIONS.items()
                if name not in _NOT_SHOWN and getattr(call.options, name) is not option.default
            },
            "host": self._host,
        }


def _starts_per_second(call: MapCall) -> float | None:
    """Return how many starts per second all limits allow; None if nothing is known of that."""
    limits = call.options.rate or ()
    return min((limit.per_second for limit in limits if not limit.has_cost), default=None)


def _growth(now: _Number | None, before: _Number | None) -> _Number | None:
    return None if now is None or before is None else now - before


def _host() -> dict[str, Any]:
    return {
        "python": sys.version.split()[0],
        "implementation": platform.python_implementation(),
        "platform": platform.platform(),
        "machine": platform.node(),
        "cpus": cpu_count(),
        "gil": HAS_GIL,
        "pid": os.getpid(),
    }
