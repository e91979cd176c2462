"""Telling how far a map is: to a function, or by a bar."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TextIO

from ..engine.policies.stopping import StopRule
from ..options import Plan
from ..progress import Progress

# Seconds between two reports, and between two lines where there is no terminal.
_REPORT_EVERY = 0.1
_LINE_EVERY = 10.0


class Reporter:
    """Reports ten times a second, and at the end. Owned by the thread that runs the engine."""

    def __init__(self, plan: Plan, total: int | None, began: float) -> None:
        tell = plan.progress
        label = tell if isinstance(tell, str) else plan.caller
        self._tell: Callable[[Progress], Any] = tell if callable(tell) else _display(label, total)
        self._total = total
        self._began = began
        self.next_wakeup = began  # when to report again

    def report(self, now: float, rule: StopRule, unseen: int, retried: int, running: int) -> None:
        """Report; `unseen` finished items are not counted in `rule` yet."""
        self.next_wakeup = now + _REPORT_EVERY
        done = rule.finished + unseen
        self._tell(
            Progress(
                done=done,
                ok=done - rule.failures,
                failed=rule.failures,
                timed_out=rule.timeouts,
                retried=retried,
                running=running,
                total=self._total,
                elapsed=now - self._began,
            )
        )

    def close(self) -> None:
        if isinstance(self._tell, (_Bar, _Lines)):
            self._tell.close()


def _display(label: str, total: int | None) -> _Bar | _Lines:
    if sys.stderr is None or not (sys.stderr.isatty() or "ipykernel" in sys.modules):
        return _Lines(label, sys.stderr)
    return _Bar(label, total)


class _Bar:
    def __init__(self, label: str, total: int | None) -> None:
        from tqdm.auto import tqdm  # checked at the call, see `check_display`

        self._bar = tqdm(total=total, desc=label, unit="item", miniters=1, mininterval=0)

    def __call__(self, progress: Progress) -> None:
        bar = self._bar
        counts = {"failed": progress.failed, "retried": progress.retried}
        bar.set_postfix({name: n for name, n in counts.items() if n}, refresh=False)
        bar.n = progress.done
        bar.refresh()

    def close(self) -> None:
        self._bar.close()


class _Lines:
    """A line every ten seconds and at the end, for logs."""

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
        if self._file is not None:
            with suppress(OSError, ValueError):  # nobody can read it: no reason to stop the map
                self._file.write(
                    f"{self._label}: {done:,}{share} done{bad}, {speed:,.1f}/s, "
                    f"{progress.elapsed:,.0f} s\n"
                )
                self._file.flush()


def check_display(plan: Plan) -> None:
    """Raise ImportError if a bar is asked for and nothing can draw it."""
    if plan.progress is None or callable(plan.progress):
        return
    from importlib.util import find_spec

    if find_spec("tqdm") is None:
        raise ImportError(
            f"{plan.caller}: progress={plan.progress!r} needs tqdm: "
            "pip install 'metainformant[progress]', or pass a function that takes a Progress"
        )
