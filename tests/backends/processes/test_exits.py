"""How maps in processes end: interrupts, signals, exits and forks, in whole interpreters."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

import pytest

from tests.backends.processes.support import Child, every_method, wait_until_gone

BUSY = """
    import os, sys, time
    from metainformant.core import parallel
    from tests.backends import tasks

    def task(kind):
        tasks.note(os.environ["PIDS"], os.getpid())
        if kind == "starts another":
            import subprocess
            child = subprocess.Popen(["sleep", "1000"])
            tasks.note(os.environ["PIDS"], child.pid)
        tasks.stuck((kind, "", 0))
        time.sleep(1000)

    if __name__ == "__main__":
        kinds = ["loops", "sleeps", "computes in C", "starts another"]
        try:
            parallel.process_map(task, kinds, 4, start_method=sys.argv[1] or None)
        except KeyboardInterrupt:
            print("interrupted", time.monotonic())
"""


class TestEndings:
    @every_method
    @pytest.mark.parametrize("whom", ["group", "parent"])
    def test_ctrl_c(self, method: str | None, whom: str, start: Callable[..., Child]) -> None:
        child = start(BUSY, method or "")
        pids = child.pids(5)
        began = time.monotonic()
        if whom == "group":
            os.killpg(child.process.pid, signal.SIGINT)
        else:
            child.process.send_signal(signal.SIGINT)
        out, err, code = child.end()
        assert (err, code) == ("", 0)
        word, at = out.split()
        assert word == "interrupted"
        assert float(at) - began < 2  # 0.2 on a machine that has nothing else to do
        wait_until_gone(pids)

    @every_method
    @pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM"])
    def test_workers_die_with_their_parent(
        self, method: str | None, name: str, start: Callable[..., Child]
    ) -> None:
        child = start(BUSY, method or "")
        pids = child.pids(5)
        child.process.send_signal(getattr(signal, name))
        child.process.wait(30)
        wait_until_gone(pids)
        _, err, code = child.end()
        assert (err, code) == ("", -getattr(signal, name))

    @every_method
    def test_a_script_without_a_guard(
        self, method: str | None, start: Callable[..., Child]
    ) -> None:
        child = start(
            """
            import sys
            from metainformant.core import parallel
            print(parallel.process_map(abs, [-1, -2, -3], 3, start_method=sys.argv[1] or None))
            """,
            method or "",
        )
        out, err, code = child.end()
        if method == "fork":
            assert (out, err, code) == ("[1, 2, 3]\n", "", 0)
            return
        assert code == 1
        assert "if __name__ == '__main__':" in err.splitlines()[-1]
        assert err.count("Traceback") == 1
        assert "see above" not in err  # there is nothing above
        assert out == ""

    def test_a_process_that_may_have_no_children(self, start: Callable[..., Child]) -> None:
        child = start(
            """
            import multiprocessing
            from metainformant.core import parallel

            def task(item):
                try:
                    return parallel.process_map(abs, [item])
                except parallel.ParallelError as error:
                    return str(error)

            if __name__ == "__main__":
                with multiprocessing.Pool(1) as pool:
                    print(pool.map(task, [-1]))
            """
        )
        out, err, code = child.end()
        assert (err, code) == ("", 0)
        assert "can't start processes in a worker of multiprocessing.Pool" in out

    def test_a_script_without_a_guard_in_processes_of_others(
        self, start: Callable[..., Child]
    ) -> None:
        child = start(
            """
            import multiprocessing
            from metainformant.core import parallel
            if __name__ == "__main__":
                process = multiprocessing.get_context("spawn").Process(target=print)
                process.start()
                process.join()
            else:
                parallel.process_map(abs, [-1])
            """
        )
        _, err, _ = child.end()
        assert "ParallelError: process_map was called while a new process imports" in err

    def test_an_unfinished_stream_with_stuck_workers_at_exit(
        self, start: Callable[..., Child]
    ) -> None:
        child = start(
            """
            import os, sys, time
            from metainformant.core import parallel
            from tests.backends import tasks

            def task(number):
                tasks.note(os.environ["PIDS"], os.getpid())
                if number:
                    sum(range(10**12))
                return number

            if __name__ == "__main__":
                stream = parallel.imap(task, tasks.endless(), backend="process", max_workers=2)
                print(next(stream))
                while len(tasks.notes(os.environ["PIDS"])) < 3:
                    time.sleep(0.01)
                print(time.monotonic(), flush=True)
            """
        )
        out, err, code = child.end()
        ended = time.monotonic()
        assert (err, code) == ("", 0)
        number, leaving = out.split()
        assert number == "0"
        assert ended - float(leaving) < 5  # 1 on a machine that has nothing else to do
        wait_until_gone(child.pids(3))

    def test_maps_at_exit_work_or_say_why_not(self, start: Callable[..., Child]) -> None:
        child = start(
            """
            import atexit
            from metainformant.core import parallel

            def late():
                try:
                    print(parallel.process_map(abs, [-1, -2]))
                except parallel.ParallelError as error:
                    print("can't start another worker" in str(error))

            class Late:
                def __del__(self):
                    try:
                        parallel.process_map(abs, [-1, -2], 1)
                    except BaseException:
                        pass

            if __name__ == "__main__":
                atexit.register(late)
                print(parallel.process_map(abs, [-3]))
                atexit.register(late)
                kept = Late()
            """
        )
        out, err, code = child.end()
        assert (err, code) == ("", 0)
        assert set(out.splitlines()) <= {"[3]", "[1, 2]", "True"}
        assert len(out.splitlines()) == 3

    def test_a_daemon_thread_may_be_in_a_map_at_exit(self, start: Callable[..., Child]) -> None:
        child = start(
            """
            import os, threading, time
            from metainformant.core import parallel
            from tests.backends import tasks

            def task(_):
                tasks.note(os.environ["PIDS"], os.getpid())
                time.sleep(1000)

            def call():
                parallel.process_map(task, range(2), 2)

            if __name__ == "__main__":
                threading.Thread(target=call, daemon=True).start()
                while len(tasks.notes(os.environ["PIDS"])) < 2:
                    time.sleep(0.01)
                print("leaving")
            """
        )
        assert child.end() == ("leaving\n", "", 0)
        wait_until_gone(child.pids(2))

    def test_a_map_works_in_a_forked_child(self, start: Callable[..., Child]) -> None:
        child = start(
            """
            import os, warnings
            from metainformant.core import parallel

            def fork_at_zero(index, item, result):
                if index == 0:
                    child = os.fork()
                    if child == 0:
                        print(parallel.process_map(abs, [-1, -2], 1), flush=True)
                        os._exit(0)
                    os.waitpid(child, 0)

            if __name__ == "__main__":
                warnings.simplefilter("ignore", DeprecationWarning)
                print(parallel.process_map(abs, range(3), 1, on_complete=fork_at_zero))
            """
        )
        assert child.end() == ("[1, 2]\n[0, 1, 2]\n", "", 0)
