"""Run each workload in a process of its own."""

from __future__ import annotations

import contextlib
import inspect
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from metainformant.core import parallel

from .pythons import free_threaded
from .results import Result, result_from
from .workload import Entry

ROOT = Path(__file__).parents[2]


def run_all(entries: Iterable[Entry], scale: float) -> Iterator[Result]:
    for entry in entries:
        yield run_apart(entry, scale)


def run_apart(entry: Entry, scale: float) -> Result:
    """Measure in a process of its own, and end all that it leaves running."""
    missing = lacking(entry.needs)
    if missing:
        return _no_result(entry, f"skipped: {missing}")
    try:
        python = free_threaded() if entry.free_threaded else sys.executable
    except LookupError as error:
        return _no_result(entry, str(error))
    with tempfile.TemporaryDirectory() as folder:
        answer, said = Path(folder, "result.json"), Path(folder, "stderr")
        command = [python, "-m", "benchmarks", "one", entry.name, str(answer)]
        with said.open("w") as stderr:
            process = subprocess.Popen(
                [*command, "--scale", str(scale)],
                cwd=ROOT,
                # Another Python has no environment in which the library is installed.
                env=os.environ | ({"PYTHONPATH": str(ROOT / "src")} if entry.free_threaded else {}),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,  # a file: what is left running would keep a pipe open
                start_new_session=True,
            )
        try:
            process.wait(entry.patience)
        except subprocess.TimeoutExpired:
            print(said.read_text(), file=sys.stderr)
            return _no_result(entry, f"failed: no end after {entry.patience:.0f} s")
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if process.returncode:
            return _no_result(entry, f"failed: {said.read_text()[-500:].strip()}")
        return result_from(json.loads(answer.read_text()))


def lacking(needs: str) -> str:
    """Say what the library lacks of what a workload needs: a name, or an option of its maps."""
    name = needs.removesuffix("=")
    if name == needs:
        return "" if hasattr(parallel, name) else f"there is no parallel.{name} yet"
    known = name in inspect.signature(parallel.thread_map).parameters
    return "" if known else f"maps have no option {needs} yet"


def _no_result(entry: Entry, trouble: str) -> Result:
    date = datetime.now(UTC).date().isoformat()
    return Result(entry.name, entry.title, date, trouble=trouble)
