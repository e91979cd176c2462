"""Draw docs/command.svg and docs/report.png anew: make pictures."""

from __future__ import annotations

import contextlib
import io
import os
import pty
import random
import re
import subprocess
import tempfile
import time
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from metainformant.core import parallel
from tests.browser.webdriver import Browser
from tests.support import ROOT

COMMAND = "metainformant map examples/demo.py:demo examples/data/*.fa* --timeout 2 -o demo.tsv"
COLUMNS = 100
# That of rich asks for fonts of the network.
PICTURE = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
HEIGHT = 1500  # of the part of the page that is shown


def draw_command(path: Path) -> None:
    """Draw what the command prints in a terminal."""
    with tempfile.TemporaryDirectory() as folder:
        command = COMMAND.replace("demo.tsv", f"{folder}/demo.tsv")
        shell = f"export COLUMNS={COLUMNS} TERM=xterm-256color; {command}"
        shown = _in_a_terminal(["/bin/sh", "-c", shell])
    last = shown.replace("\r\n", "\n").rsplit("\r", 1)[-1].rstrip()
    console = Console(record=True, width=COLUMNS, file=io.StringIO())
    console.print(Text("$ ", style="bold green") + Text(COMMAND))
    console.print(Text.from_ansi(last))
    console.save_svg(str(path), title="metainformant map", theme=MONOKAI, code_format=PICTURE)


def _in_a_terminal(command: list[str]) -> str:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(  # noqa: S603  # the shell of the example
        command, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, cwd=ROOT
    )
    os.close(theirs)
    parts = []
    with contextlib.suppress(OSError):  # it has ended
        while part := os.read(ours, 65536):
            parts.append(part)
    process.wait()
    os.close(ours)
    return b"".join(parts).decode()


def fetch(number: int) -> int:
    """Stand for a request: one in fifty fails, and one takes long."""
    time.sleep(1.0 if number == 701 else random.Random(number).uniform(0.005, 0.03))  # noqa: S311
    if number % 50 == 0:
        raise ConnectionError(f"record {number} is not there")
    return number


def draw_report(path: Path) -> None:
    """Draw the upper part of the page of a run that has something of everything."""
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder, "run.html")
        parallel.thread_map(fetch, range(900), 8, retries=1, backoff=0.05, report=page)
        browser = Browser(Path(folder, "profile"))
        try:
            browser.set_screen(1100)
            browser.open(page.as_uri())
            browser.photograph(path, HEIGHT)
        finally:
            browser.close()


if __name__ == "__main__":
    draw_command(ROOT / "docs" / "command.svg")
    draw_report(ROOT / "docs" / "report.png")
