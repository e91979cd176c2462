"""The executor of mpi4py: all that the other executors are tested for, in processes of MPI."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support import ROOT, without_coverage

pytestmark = [
    pytest.mark.skipif(shutil.which("mpiexec") is None, reason="needs MPI"),
    pytest.mark.skipif(find_spec("mpi4py") is None, reason="mpi4py is not installed"),
]
# Processes: one that calls maps, and three that run items.
_COUNT = 4
# Open MPI refuses to be started by root, and on fewer processors, unless it is told so.
_ALLOWED = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
    # All processes are on this machine: let none look for a network or wait for it.
    "OMPI_MCA_btl": "self,vader",
    "OMPI_MCA_btl_vader_single_copy_mechanism": "none",
}


def run_with_mpi(*arguments: str) -> tuple[int, str]:
    """Run Python in the first of several processes, whose others are workers.

    Return the exit status, and what it has printed.
    """
    command = ["mpiexec", "-n", str(_COUNT), sys.executable, "-m", "mpi4py.futures", *arguments]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env={**without_coverage(), **_ALLOWED, "NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            text, _ = process.communicate(timeout=120)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    return process.returncode, text


def test_it_passes_the_tests_of_executors() -> None:
    files = ["tests/backends/futures/test_executors.py", "tests/backends/test_behaviour.py"]
    status, text = run_with_mpi(
        *["-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "MPIPoolExecutor", *files]
    )
    assert status == 0, text
    assert " passed" in text


def test_a_script_as_the_documentation_shows_it(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        """
import os

from mpi4py.futures import MPIPoolExecutor

from metainformant.core import parallel


def square(number):
    return number * number


if __name__ == "__main__":
    with MPIPoolExecutor() as executor:
        found = list(parallel.outcomes(square, range(1000), backend=executor, timeout=60))
    print([outcome.value for outcome in found] == [number**2 for number in range(1000)])
    workers = {outcome.worker for outcome in found}
    print(workers and all(name.startswith("process ") for name in workers))
    print(f"process {os.getpid()} on" not in " ".join(workers))
"""
    )
    status, text = run_with_mpi(str(script))
    assert (status, text) == (0, "True\nTrue\nTrue\n")


def test_a_worker_that_dies_ends_the_whole_job(tmp_path: Path) -> None:
    """As MPI does it: nothing of a map is left that could say so, except its checkpoint."""
    script = tmp_path / "script.py"
    script.write_text(
        """
import os
import signal
import sys

from mpi4py.futures import MPIPoolExecutor

from metainformant.core import parallel


def once(item):
    number, path = item
    if number == 50 and not os.path.exists(path):
        open(path, "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


if __name__ == "__main__":
    folder = sys.argv[1]
    items = [(number, f"{folder}/died") for number in range(100)]
    with MPIPoolExecutor() as executor, parallel.Pool(executor) as pool:
        results = pool.map(once, items, chunk_size=1, checkpoint=f"{folder}/run.db")
    print(results == list(range(100)))
"""
    )
    status, text = run_with_mpi(str(script), str(tmp_path))
    assert status
    assert "True" not in text
    status, text = run_with_mpi(str(script), str(tmp_path))
    assert status == 0, text
    assert text.endswith("True\n")
