"""Progress reports: to a function, as a bar, or as lines in a log."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TextIO

from ..engine.events import Counts, Observer
from ..options import MapCall
from ..progress import Progress

if TYPE_CHECKING:
    from ..engine.ending import Ending

# Seconds between two reports, and between two lines where there is no terminal.
_REPORT_EVERY = 0.1
_LINE_EVERY = 10.0


class ProgressReporter(Observer):
    """The observer that reports progress ten times a second, and at the end.

    Raises:
        ImportError: if a bar is asked for and nothing can draw it.
    """

    interval = _REPORT_EVERY

    def __init__(self, call: MapCall, total: int | None) -> None:
        progress = call.options.progress
        if not callable(progress):
            _check_tqdm(call)
        self._report: Callable[[Progress], Any] | None = progress if callable(progress) else None
        self._label = progress if isinstance(progress, str) else call.caller
        self._total = total

    def on_progress(self, counts: Counts, elapsed: float) -> None:
        if self._report is None:
            self._report = _display(self._label, self._total)
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
            )
        )

    def on_end(self, ending: Ending | None) -> None:
        if isinstance(self._report, (_Bar, _Lines)):
            self._report.close()


def _display(label: str, total: int | None) -> _Bar | _Lines:
    if sys.stderr is None or not (sys.stderr.isatty() or "ipykernel" in sys.modules):
        return _Lines(label, sys.stderr)
    return _Bar(label, total)


class _Bar:
    def __init__(self, label: str, total: int | None) -> None:
        from tqdm.auto import tqdm  # checked at the call, see `_check_tqdm`

        self._bar = tqdm(total=total, desc=label, unit="item", miniters=1, mininterval=0)

    def __call__(self, progress: Progress) -> None:
        bar = self._bar
        counts = {
            "failed": progress.failed,
            "retried": progress.retried,
            "throttled": progress.throttled,
        }
        bar.set_postfix({name: n for name, n in counts.items() if n}, refresh=False)
        bar.n = progress.done
        bar.refresh()

    def close(self) -> None:
        self._bar.close()


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

    def close(self) -> None:
        if self._last is not None:
            self._write(self._last)

    def _write(self, progress: Progress) -> None:
        done, total = progress.done, progress.total
        share = f" of {total:,} ({done / total:.0%})" if total else ""
        speed = done / progress.elapsed if progress.elapsed > 0 else 0.0
        bad = f", {progress.failed:,} failed" if progress.failed else ""
        bad += f", {progress.throttled:,} refused" if progress.throttled else ""
        if self._file is not None:
            with suppress(OSError, ValueError):  # a broken stderr is no reason to stop the map
                self._file.write(
                    f"{self._label}: {done:,}{share} done{bad}, {speed:,.1f}/s, "
                    f"{progress.elapsed:,.0f} s\n"
                )
                self._file.flush()


def _check_tqdm(call: MapCall) -> None:
    from importlib.util import find_spec

    if find_spec("tqdm") is None:
        raise ImportError(
            f"{call.caller}: progress={call.options.progress!r} needs tqdm: "
            "pip install 'metainformant[progress]', or pass a function that takes a Progress"
        )
