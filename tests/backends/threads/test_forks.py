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


@pytest.mark.parametrize("after", ["", "await asyncio.sleep(0.01)", "raise ValueError(number)"])
def test_the_child_of_a_coroutine_is_no_worker(after: str, tmp_path: Path) -> None:
    """Nor do those of the other calls that are in flight go on in it."""
    code = f"""
        import asyncio, os, time, warnings
        from metainformant.core import parallel

        async def task(number):
            note(f"begins {{number}}")
            await asyncio.sleep(0.2 if number % 2 else 0)
            child = os.fork() if number == 2 else 1
            if child == 0:
                {after or "return None"}
            note(f"ends {{number}}")
            return child and number

        warnings.simplefilter("ignore", DeprecationWarning)
        print(parallel.async_map(task, range(6), 3))
        """
    out, notes = run(tmp_path, code)
    assert out == "[0, 1, 2, 3, 4, 5]\n"
    assert notes == sorted(f"{what} {number}" for what in ("begins", "ends") for number in range(6))


@pytest.mark.parametrize(
    "call",
    [
        "parallel.thread_map(task, range(4), 1, initializer=fork)",
        "parallel.thread_map(task, range(4), 1, worker_state=State)",
        "list(parallel.imap(task, range(4), backend='serial', initializer=fork))",
        "parallel.async_map(later, range(4), 1, initializer=fork)",
    ],
)
def test_the_child_of_a_preparation_is_no_worker(call: str, tmp_path: Path) -> None:
    code = f"""
        import os, warnings
        from metainformant.core import parallel

        class State:
            def __init__(self):
                fork()

            def close(self):
                fork()

        def fork():
            os.fork()

        def task(number, state=None):
            note(str(number))
            return number

        async def later(number):
            return task(number)

        warnings.simplefilter("ignore", DeprecationWarning)
        print({call})
        """
    assert run(tmp_path, code) == ("[0, 1, 2, 3]\n", ["0", "1", "2", "3"])


def run(folder: Path, code: str) -> tuple[str, list[str]]:
    """Run a script; return what it printed, and what it and its forks have noted, sorted."""
    notes = folder / "notes"
    note = f"def note(text):\n    with open({str(notes)!r}, 'a') as file:\n"
    note += "        file.write(text + '\\n')\n"
    script = folder / "script.py"
    script.write_text(note + textwrap.dedent(code))
    ended = subprocess.run(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
        env={**without_coverage(), "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert ended.returncode == 0
    return ended.stdout, sorted(notes.read_text().splitlines())
