"""Progress reports: to a function, as a bar, or as lines in a log."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any, TextIO

from ..calls import MapCall
from ..engine.events import Counts, Observer
from ..progress import Progress
from ..report.quantities import duration
from .speed import Speed, time_left

if TYPE_CHECKING:
    from ..engine.ending import Ending
    from ..report.record import Record

# Seconds between two reports, and between two lines where there is no terminal.
_REPORT_EVERY = 0.1
_LINE_EVERY = 10.0


class ProgressReporter(Observer):
    """The observer that reports progress ten times a second, and at the end.

    Args:
        call: what is done.
        total: how many items there are; None if not known.
        record: of the run, for the last line of a bar; a function gets no such line.

    Raises:
        ImportError: if a bar is asked for and nothing can draw it.
    """

    interval = _REPORT_EVERY

    def __init__(self, call: MapCall, total: int | None, record: Record | None = None) -> None:
        progress = call.options.progress
        if not callable(progress):
            _check_tqdm(call)
        self._report: Callable[[Progress], Any] | None = progress if callable(progress) else None
        self._label = progress if isinstance(progress, str) else call.caller
        self._total = total
        self._speed = Speed()
        self._record = record
        self._paused_until = -math.inf

    def on_pause(self, seconds: float) -> None:
        self._paused_until = max(self._paused_until, monotonic() + seconds)

    def on_progress(self, counts: Counts, elapsed: float) -> None:
        if self._report is None:
            self._report = _display(self._label, self._total)
        rate = self._speed.update(elapsed, counts.finished)
        self._report(
            Progress(
                done=counts.finished,
                ok=counts.finished - counts.failed,
                failed=counts.failed,
                timed_out=counts.timed_out,
                retried=counts.retried,
                running=counts.running,
                total=self._total,
                elapsed=elapsed,
                throttled=counts.throttled,
                rate=rate,
                eta=time_left(rate, counts.finished, self._total),
                pause=max(0.0, self._paused_until - monotonic()),
            )
        )

    def on_end(self, ending: Ending | None) -> None:
        if isinstance(self._report, (_Bar, _Lines)):
            self._report.close("" if self._record is None else last_words(self._record))


def _display(label: str, total: int | None) -> _Bar | _Lines:
    if sys.stderr is None or not (sys.stderr.isatty() or "ipykernel" in sys.modules):
        return _Lines(label, sys.stderr)
    return _Bar(label, total)


class _Bar:
    def __init__(self, label: str, total: int | None) -> None:
        from tqdm.auto import tqdm  # checked at the call, see `_check_tqdm`

        self._label = label
        # The time left and the speed are our own: those of tqdm are of the run as a whole.
        shape = None if total is None else "{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}{postfix}]"
        self._bar = tqdm(
            total=total, desc=label, unit="item", miniters=1, mininterval=0, bar_format=shape
        )
        self._file = self._bar.fp

    def __call__(self, progress: Progress) -> None:
        bar = self._bar
        counts = {
            "failed": progress.failed,
            "retried": progress.retried,
            "throttled": progress.throttled,
        }
        words = [f"{name}={n}" for name, n in counts.items() if n]
        if progress.eta:
            words.insert(0, f"{duration(progress.eta)} left")
        if progress.pause:
            words.insert(0, f"paused for {duration(progress.pause)}")
        words.insert(0, f"{progress.rate:,.3g}/s")
        bar.set_postfix_str(", ".join(words), refresh=False)
        bar.n = progress.done
        bar.refresh()

    def close(self, last: str) -> None:
        self._bar.close()
        if last:
            with suppress(OSError, ValueError):
                self._file.write(f"{self._label}: {last}\n")


class _Lines:
    """Lines for a log, one every ten seconds and one at the end."""

    def __init__(self, label: str, file: TextIO | None) -> None:
        self._label = label
        self._file = file
        self._next = _LINE_EVERY
        self._last: Progress | None = None

    def __call__(self, progress: Progress) -> None:
        self._last = progress
        if progress.elapsed >= self._next:
            self._next = progress.elapsed + _LINE_EVERY
            self._write(progress)

    def close(self, last: str) -> None:
        if self._last is not None:
            self._write(self._last, f"; {last}" if last else "")

    def _write(self, progress: Progress, more: str = "") -> None:
        done, total = progress.done, progress.total
        share = f" of {total:,} ({done / total:.0%})" if total else ""
        left = f", {duration(progress.eta)} left" if progress.eta else ""
        bad = f", {progress.failed:,} failed" if progress.failed else ""
        bad += f", {progress.throttled:,} refused" if progress.throttled else ""
        bad += f", paused for {duration(progress.pause)}" if progress.pause else ""
        if self._file is not None:
            with suppress(OSError, ValueError):  # a broken stderr is no reason to stop the map
                self._file.write(
                    f"{self._label}: {done:,}{share} done{bad}, {progress.rate:,.1f}/s, "
                    f"{progress.elapsed:,.0f} s{left}{more}\n"
                )
                self._file.flush()


def last_words(record: Record) -> str:
    """Name the slowest item and the failures by class, as far as there are any."""
    words = []
    slowest = record.slowest.in_order()[:1]
    if slowest and record.attempts > 1:
        slow = slowest[0]
        words.append(f"slowest: item {slow.index} ({slow.item}), {duration(slow.seconds)}")
    classes: dict[str, int] = {}
    failures = record.failures.data()
    for group in failures["groups"]:
        classes[group["type"]] = classes.get(group["type"], 0) + group["count"]
    if failures["other"]:
        classes["others"] = failures["other"]
    if classes:
        words.append(
            "failures: " + ", ".join(f"{count:,} x {name}" for name, count in classes.items())
        )
    return "; ".join(words)


def _check_tqdm(call: MapCall) -> None:
    from importlib.util import find_spec

    if find_spec("tqdm") is None:
        raise ImportError(
            f"{call.caller}: progress={call.options.progress!r} needs tqdm: "
            "pip install 'metainformant[progress]', or pass a function that takes a Progress"
        )
