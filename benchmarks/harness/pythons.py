"""Other interpreters on this machine, for what depends on how Python was built."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

VARIABLE = "BENCH_FREE_THREADED"
_VERSIONS = ("3.15t", "3.14t", "3.13t")
_FINDER = Path(__file__).parents[2] / "tools" / "find_python.sh"
_IS_FREE_THREADED = "import sys; sys.exit(getattr(sys, '_is_gil_enabled', lambda: True)())"


def free_threaded() -> str:
    """Return the path of a Python without the GIL.

    The environment variable BENCH_FREE_THREADED says which one; otherwise it is the newest that
    `tools/find_python.sh` finds.

    Raises:
        LookupError: if there is none, or the one that the variable says is no such Python.
    """
    given = os.environ.get(VARIABLE)
    if given:
        if not _runs_without_gil(given):
            raise LookupError(f"failed: {VARIABLE}={given!r} is not a Python without the GIL")
        return given
    for path in _installed():
        if _runs_without_gil(path):
            return path
    raise LookupError(
        f"skipped: no free-threaded Python was found; {VARIABLE}=PATH says where one is"
    )


def _installed() -> Iterator[str]:
    for version in _VERSIONS:
        command = ["/bin/sh", str(_FINDER), version]
        found = subprocess.run(command, capture_output=True, text=True, check=False)
        if found.returncode == 0:
            yield found.stdout.strip()


def _runs_without_gil(path: str) -> bool:
    try:
        done = subprocess.run([path, "-c", _IS_FREE_THREADED], capture_output=True, check=False)
    except OSError:
        return False
    return done.returncode == 0
