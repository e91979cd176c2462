"""The progress of a run: a bar in a terminal, and lines in a log file."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from .pairs import Pairs
from .records import Records
from .tally import Tally, duration, rate
from .time_left import TimeLeft

if TYPE_CHECKING:
    from rich.progress import Progress

_LINE_SECONDS = 10.0


class Display(Protocol):
    """The display of the progress, around the run. Other output goes through it."""

    def __enter__(self) -> object: ...

    def __exit__(self, *_: object) -> None: ...

    def update(self) -> None:
        """Show the counts as they are now."""

    def stop(self) -> None:
        """Show nothing any more."""

    def say(self, line: str) -> None:
        """Print a message."""

    def show(self, lines: str) -> None:
        """Print rows, where standard output is the same terminal."""


def display(tally: Tally, records: Records | Pairs, say: Callable[[str], None]) -> Display:
    """Return the display that fits standard error."""
    is_dumb = os.environ.get("TERM", "").lower() in ("dumb", "unknown")
    if sys.stderr is not None and sys.stderr.isatty() and not is_dumb:
        return Bar(tally, records)
    return LogLines(tally, records, say)


class _Counts:
    """The counts of a run in words."""

    def __init__(self, tally: Tally, records: Records | Pairs) -> None:
        self.tally = tally
        self.total: int | None = None
        self._records = records
        self._time_left = TimeLeft()

    def in_words(self) -> str:
        tally = self.tally
        self.total = self._records.expected()
        of = f"/{self.total}" if self.total is not None else ""
        words = [f"{tally.done}{of}", rate(tally.rate)]
        if tally.failed:
            words.append(f"{tally.failed} failed")
        if tally.timed_out:
            words.append(f"{tally.timed_out} timed out")
        if tally.pause:
            words.append(f"paused for {duration(tally.pause)}")
        left = self._time_left.update(tally.seconds, tally.done, self.total)
        if left is not None:
            words.append(f"{duration(round(left))} left")
        return "  ".join(words)


class Bar:
    """A line at the bottom of the terminal; other output is printed above it.

    The bar does that itself for what functions print.
    """

    def __init__(self, tally: Tally, records: Records | Pairs) -> None:
        from rich.console import Console  # slow to import, and rarely needed in scripts
        from rich.progress import BarColumn, Progress, TextColumn

        self._counts = _Counts(tally, records)
        self._console = Console(stderr=True)
        # The time left is our own: that of rich starts again whenever the total changes, and ours
        # is an estimate.
        self._progress: Progress = Progress(
            BarColumn(bar_width=30),
            TextColumn("{task.fields[counts]}"),
            console=self._console,
            transient=True,
        )
        self._task = self._progress.add_task("", total=None, counts="")

    def __enter__(self) -> None:
        self._progress.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._progress.stop()

    def update(self) -> None:
        words = self._counts.in_words()
        done, total = self._counts.tally.done, self._counts.total
        self._progress.update(self._task, completed=done, total=total, counts=words)

    def say(self, line: str) -> None:
        self._print(line)

    def show(self, lines: str) -> None:
        self._print(lines.removesuffix("\n"))

    def _print(self, text: str) -> None:
        from rich.text import Text

        self._console.print(Text(text), soft_wrap=True)


class LogLines:
    """A line every ten seconds, for files and whatever else can't be written over."""

    def __init__(self, tally: Tally, records: Records | Pairs, say: Callable[[str], None]) -> None:
        self._counts = _Counts(tally, records)
        self._due = _LINE_SECONDS
        self.say = say
        self.show = say

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...

    def stop(self) -> None: ...

    def update(self) -> None:
        words = self._counts.in_words()
        seconds = self._counts.tally.seconds
        if seconds >= self._due:
            self._due = seconds + _LINE_SECONDS
            self.say(words)
