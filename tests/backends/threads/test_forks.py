"""Tasks in threads that fork, and whose child comes back from the task."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.support import ROOT, without_coverage

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


@pytest.mark.parametrize(
    ("call", "status"),
    [("return False", 0), ("raise SystemExit(7)", 7), ("raise ValueError('in the child')", 1)],
)
def test_the_child_is_no_worker(call: str, status: int, tmp_path: Path) -> None:
    """It ends, as a script would, and runs no item; if it went on, the script would hang."""
    script = tmp_path / "script.py"
    runs = tmp_path / "runs"
    script.write_text(
        textwrap.dedent(
            f"""
            import os, warnings
            from metainformant.core import parallel

            def task(number):
                with open({str(runs)!r}, "a") as file:
                    file.write(f"{{number}}\\n")
                child = os.fork()
                if child == 0:
                    {call}
                return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

            warnings.simplefilter("ignore", DeprecationWarning)
            print(parallel.thread_map(task, range(6), 2, chunk_size=3))
            print(list(parallel.imap(task, range(6, 12), max_workers=2)))
            """
        )
    )
    ended = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        timeout=60,
        env={**without_coverage(), "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (0, f"{[status] * 6}\n" * 2)
    assert sorted(map(int, runs.read_text().split())) == list(range(12))
    assert ("ValueError: in the child" in ended.stderr) == (status == 1)
