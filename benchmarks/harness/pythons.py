"""Other interpreters on this machine, for what depends on how Python was built."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

VARIABLE = "BENCH_FREE_THREADED"
_VERSIONS = ("3.15t", "3.14t", "3.13t")
_IS_FREE_THREADED = "import sys; sys.exit(getattr(sys, '_is_gil_enabled', lambda: True)())"


def free_threaded() -> str:
    """Return the path of a Python without the GIL.

    The environment variable BENCH_FREE_THREADED says which one; otherwise it is the newest on the
    PATH or in pyenv.

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
        found = shutil.which(f"python{version}")
        if found:
            yield found
    versions = Path.home() / ".pyenv" / "versions"
    yield from map(str, sorted(versions.glob("*t/bin/python"), reverse=True))


def _runs_without_gil(path: str) -> bool:
    try:
        done = subprocess.run([path, "-c", _IS_FREE_THREADED], capture_output=True, check=False)
    except OSError:
        return False
    return done.returncode == 0
