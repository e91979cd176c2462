"""Scripts in odd surroundings: how they are started, and what their process has changed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import zipapp
from pathlib import Path
from typing import Any

import pytest

from tests.support import ROOT, without_coverage


def run(folder: Path, code: str, *arguments: str, **options: Any) -> str:
    """Run a script, or what the arguments name; return what it printed, which is no error."""
    if not arguments:
        script = folder / "script.py"
        script.write_text(textwrap.dedent(code))
        arguments = (str(script),)
    environment = {
        **without_coverage(),
        **options.pop("env", {}),
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
    }
    ended = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=folder,
        env=environment,
        check=False,
        **options,
    )
    assert ended.stderr == ""
    assert ended.returncode == 0
    return str(ended.stdout)


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_tasks_and_their_children_find_nothing_in_standard_input(
    method: str, tmp_path: Path
) -> None:
    code = f"""
        import os, subprocess, sys
        from metainformant.core import parallel

        def read(_):
            child = subprocess.run(["cat"], stdout=subprocess.PIPE, check=True)
            return os.read(0, 100), child.stdout, sys.stdin.read()

        if __name__ == "__main__":
            print(parallel.process_map(read, [1], 1, start_method={method!r}))
            print(sys.stdin.read())
        """
    out = run(tmp_path, code, input="precious")
    assert out == "[(b'', b'', '')]\nprecious\n"


def test_a_thread_that_blocks_the_signal_of_ended_children(tmp_path: Path) -> None:
    code = """
        import signal, time
        from metainformant.core import parallel

        if __name__ == "__main__":
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
            began = time.monotonic()
            print(parallel.process_map(abs, [-1, -2], 2))
            print(time.monotonic() - began < 30)
            print(signal.SIGCHLD in signal.pthread_sigmask(signal.SIG_BLOCK, []))
        """
    assert run(tmp_path, code) == "[1, 2]\nTrue\nTrue\n"


@pytest.mark.skipif(not hasattr(signal, "SIGCHLD"), reason="needs SIGCHLD")
@pytest.mark.parametrize("method", [None, "spawn"])
def test_a_process_that_ignores_the_signal_of_ended_children(
    method: str | None, tmp_path: Path
) -> None:
    code = f"""
        import signal, time
        from metainformant.core import parallel

        if __name__ == "__main__":
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)
            late, fine = parallel.process_map(
                time.sleep, [1000, 0], 2, timeout=0.5, start_method={method!r}
            )
            print(type(late).__name__, fine)
        """
    assert run(tmp_path, code) == "TaskTimeoutError None\n"


def test_a_folder_for_temporary_files_with_a_long_name(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 100)
    folder.mkdir()
    code = """
        from metainformant.core import parallel

        if __name__ == "__main__":
            print(parallel.process_map(abs, [-1, -2], 2))
            try:
                parallel.process_map(abs, [-1], 1, start_method="forkserver")
            except parallel.ParallelError as error:
                print("set TMPDIR" in str(error))
        """
    assert run(tmp_path, code, env={**os.environ, "TMPDIR": str(folder)}) == "[1, 2]\nTrue\n"


def test_a_warm_pool_in_a_forked_child(tmp_path: Path) -> None:
    """The child gets workers of its own; those of the parent go on."""
    code = """
        import os, sys, warnings
        from metainformant.core import parallel

        def pid(_):
            return os.getpid()

        if __name__ == "__main__":
            warnings.simplefilter("ignore", DeprecationWarning)
            for method in ("forkserver", "spawn", "fork"):
                with parallel.Pool("process", 1, start_method=method) as pool:
                    (before,) = pool.map(pid, [0])
                    child = os.fork()
                    if child == 0:
                        (its,) = pool.map(pid, [0])
                        pool.close()
                        os._exit(0 if its != before else 1)
                    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
                    print(pool.map(pid, [0]) == [before])
        """
    assert run(tmp_path, code) == "0\nTrue\n" * 3


@pytest.mark.parametrize("how", ["fork", "spawn"])
def test_workers_that_are_left_in_a_process_of_multiprocessing(how: str, tmp_path: Path) -> None:
    """It ends all the same, and they with it."""
    code = f"""
        import itertools, multiprocessing, os, time
        from metainformant.core import parallel

        def pid(_):
            return os.getpid()

        def leave():
            global left
            pool = parallel.Pool("process", 1)
            stream = parallel.imap(pid, itertools.count(), backend="process", max_workers=1)
            left = [pool, stream]
            pids.put([pool.map(pid, [0])[0], next(stream)])

        def forget(queue):
            global pids
            pids = queue
            leave()

        if __name__ == "__main__":
            context = multiprocessing.get_context({how!r})
            queue = context.Queue()
            process = context.Process(target=forget, args=(queue,))
            process.start()
            for worker in queue.get():
                while os.path.exists(f"/proc/{{worker}}"):
                    time.sleep(0.01)
            process.join()
            print(process.exitcode)
        """
    assert run(tmp_path, code) == "0\n"


MAIN = """
from metainformant.core import parallel

class Thing:
    pass

def job(number):
    return number + 1

def make(_):
    return Thing()

if __name__ == "__main__":
    print(parallel.process_map(job, [1, 2], 1))
    print(type(parallel.process_map(make, [1], 1)[0]) is Thing)
"""


@pytest.mark.parametrize("how", ["module", "folder", "archive"])
def test_functions_of_the_main_of_a_package(how: str, tmp_path: Path) -> None:
    pytest.importorskip("cloudpickle")
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(MAIN)
    if how == "archive":
        zipapp.create_archive(package, tmp_path / "app.pyz")
    arguments = {"module": ["-m", "package"], "folder": ["package"], "archive": ["app.pyz"]}[how]
    assert run(tmp_path, "", *arguments) == "[2, 3]\nTrue\n"


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_what_is_defined_below_the_guard(method: str, tmp_path: Path) -> None:
    pytest.importorskip("cloudpickle")
    code = f"""
        from metainformant.core import parallel

        if __name__ == "__main__":
            class Number:
                def __init__(self, value):
                    self.value = value

            def square(number):
                return Number(number.value ** 2)

            options = {{"start_method": {method!r}, "chunk_size": 2}}
            results = parallel.process_map(square, map(Number, range(4)), 2, **options)
            print([result.value for result in results], type(results[0]) is Number)
            with parallel.Pool("process", 1, start_method={method!r}) as pool:
                print(pool.map(abs, [-1]), pool.map(square, [Number(3)])[0].value)
        """
    assert run(tmp_path, code) == "[0, 1, 4, 9] True\n[1] 9\n"
