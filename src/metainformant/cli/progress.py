"""The progress bar."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from .records import Records
from .tally import Tally, rate


class Bar:
    """A line on stderr: how many are done, how fast, what failed, and how long it will take.

    While it is shown, other output has to go through `say` and `show`, which print above it; the
    bar does that itself for what the function prints.
    """

    def __init__(self, tally: Tally, records: Records) -> None:
        self._tally = tally
        self._records = records
        self._console = Console(stderr=True)
        self._progress = Progress(
            BarColumn(bar_width=30),
            TextColumn("{task.fields[counts]}"),
            TimeRemainingColumn(),
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
        """Show the counts as they are now."""
        tally, total = self._tally, self._records.expected()
        of = f"/{total}" if total is not None else ""
        counts = [f"{tally.done}{of}", rate(tally.rate)]
        if tally.failed:
            counts.append(f"{tally.failed} failed")
        if tally.timed_out:
            counts.append(f"{tally.timed_out} timed out")
        self._progress.update(
            self._task, completed=tally.done, total=total, counts="  ".join(counts)
        )

    def say(self, line: str) -> None:
        """Print a message above the bar."""
        self._console.print(Text(line), soft_wrap=True)

    def show(self, lines: str) -> None:
        """Print rows above the bar, where stdout is the same terminal."""
        self._console.print(Text(lines.removesuffix("\n")), soft_wrap=True)
