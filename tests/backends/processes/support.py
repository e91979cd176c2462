"""Helpers of the tests of worker processes."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.backends import tasks
from tests.backends.table import FORKS, KINDS
from tests.support import ROOT, wait_until, without_coverage

METHODS = [kind.options["start_method"] for kind in KINDS if "start_method" in kind.options]
every_method = pytest.mark.parametrize(
    "method",
    [
        pytest.param(name, marks=FORKS if name == "fork" else [], id=name or "default")
        for name in METHODS
    ],
)
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return not os.path.isdir("/proc/self")


def wait_until_gone(pids: list[int]) -> None:
    wait_until(lambda: not any(map(is_alive, pids)))


class Child:
    """A script that runs on its own, in a process group of its own."""

    def __init__(
        self,
        path: Path,
        code: str,
        *arguments: str,
        how: str = "script",
        is_interrupted: bool = True,
    ) -> None:
        source = textwrap.dedent(code)
        script = path / "script.py"
        script.write_text(source)
        command = [sys.executable, *{"script": [str(script)], "-c": ["-c", source]}.get(how, ["-"])]
        self.pids_file = path / "pids"
        given = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
        paths = [str(ROOT), *map(os.path.abspath, given)]
        environment = {
            **(without_coverage() if is_interrupted else os.environ),
            "PIDS": str(self.pids_file),
            "PYTHONPATH": os.pathsep.join(paths),
        }
        self.process = subprocess.Popen(
            [*command, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env=environment,
            cwd=path,
        )
        assert self.process.stdin is not None
        self.process.stdin.write(source if how == "stdin" else "")
        self.process.stdin.close()
        self.process.stdin = None

    def pids(self, count: int) -> list[int]:
        """Of the processes that have told, once there are so many."""
        wait_until(lambda: len(tasks.notes(self.pids_file)) >= count or self.process.poll())
        return list(map(int, tasks.notes(self.pids_file)))

    def end(self) -> tuple[str, str, int]:
        """What it has printed and how it ended, once it has."""
        try:
            out, err = self.process.communicate(timeout=30)
        finally:
            self.process.kill()
        return out, err, self.process.returncode
