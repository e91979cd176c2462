"""Interrupts, exits and forks in the middle of a map."""

from __future__ import annotations

import itertools
import signal
import sys

import pytest

from metainformant.core import parallel
from metainformant.core.parallel.host.gil import HAS_GIL
from metainformant.core.parallel.runner import stream_map
from tests.support import run_python


class TestInterruptsAndExits:
    @pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
    @pytest.mark.parametrize(
        "where", ["while reading", "while waiting", "while delivering", "with hung tasks"]
    )
    def test_ctrl_c_gets_through_in_every_phase(self, where: str) -> None:
        process = run_python(
            f"""
            import itertools, os, signal, threading, time
            from metainformant.core import parallel
            where = {where!r}
            hang = threading.Event()
            times, started = [], itertools.count()
            def strike():
                times.append(time.monotonic())
                os.kill(os.getpid(), signal.SIGINT)
            def numbers(blocks):
                for number in itertools.count():
                    if number == 100_000:
                        strike()
                        if blocks:
                            hang.wait()
                    yield number
            def task(number):
                # With hung tasks, when some have been given up.
                if next(started) == number:
                    strike()
                hang.wait()
            try:
                if where == "while reading":
                    for _ in parallel.outcomes(abs, numbers(blocks=True)):
                        pass
                elif where == "while waiting":
                    parallel.thread_map(task, [0])
                elif where == "while delivering":
                    for _ in parallel.outcomes(abs, numbers(blocks=False)):
                        pass
                else:
                    parallel.thread_map(task, [150] * 9_000, 100, timeout=0.2)  # would take 18 s
            except KeyboardInterrupt:
                print(time.monotonic() - times[0] < 9)
            """
        )
        assert (process.stdout, process.stderr, process.returncode) == ("True\n", "", 0)

    @pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
    @pytest.mark.parametrize("how", ["thread_map", "process_map"])
    def test_ctrl_c_leaves_the_results_that_there_are(self, how: str) -> None:
        process = run_python(
            f"""
            import os, signal, time
            from metainformant.core import parallel

            def strike(index, item, result):
                if index == 3:
                    os.kill(os.getpid(), signal.SIGINT)

            if __name__ == "__main__":
                try:
                    parallel.{how}(
                        str, range(100_000), max_workers=1, chunk_size=1, on_complete=strike
                    )
                except KeyboardInterrupt as error:
                    results = error.results
                    print(len(results), results[:4])
                    late = results[-1]
                    print(type(late).__name__, late.index, late.reason)
                    print(error._render_traceback_())
            """
        )
        assert process.stderr == ""
        assert process.stdout.splitlines() == [
            "100000 ['0', '1', '2', '3']",
            "TaskCancelledError 99999 it was interrupted",
            f"['KeyboardInterrupt: {how} was interrupted; what was finished is in `results`']",
        ]

    @pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
    def test_ctrl_c_that_nobody_catches_ends_the_process_by_its_signal(self) -> None:
        """A loop of a shell goes on after a process that ends with a status of its own."""
        process = run_python(
            """
            import os, signal
            from metainformant.core import parallel
            parallel.thread_map(lambda _: os.kill(os.getpid(), signal.SIGINT), range(100), 1)
            """
        )
        assert process.returncode == -signal.SIGINT
        assert "\nKeyboardInterrupt: thread_map was interrupted" in process.stderr

    @pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
    def test_where_ctrl_c_is_ignored_it_stays_so(self) -> None:
        """As for what nohup or a script starts in the background; a map changes nothing there."""
        process = run_python(
            """
            import os, signal
            from metainformant.core import parallel
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # what Python starts with there

            def strike(item):
                os.kill(os.getpid(), signal.SIGINT)
                return item

            if __name__ == "__main__":
                print(parallel.thread_map(strike, range(3), max_workers=2))
                print(parallel.process_map(str, range(3), max_workers=2))
                print(signal.getsignal(signal.SIGINT) is signal.SIG_IGN)
            """
        )
        assert process.stderr == ""
        assert process.stdout.splitlines() == ["[0, 1, 2]", "['0', '1', '2']", "True"]

    def test_a_map_at_exit_works_or_says_why_not(self) -> None:
        process = run_python(
            """
            import atexit
            from metainformant.core import parallel
            def late():
                try:
                    print(parallel.thread_map(abs, [-1, -2]))
                except parallel.ParallelError as error:
                    print("can't start another thread" in str(error))
            atexit.register(late)
            """
        )
        assert process.stdout in ("[1, 2]\n", "True\n")
        assert (process.stderr, process.returncode) == ("", 0)

    @pytest.mark.parametrize("is_warm", [False, True])
    @pytest.mark.parametrize(
        "how", ["thread_map", "imap", "process_map", "async_map", "interpreter_map"]
    )
    def test_a_map_in_a_finaliser_at_exit_never_hangs(self, how: str, is_warm: bool) -> None:
        if how == "interpreter_map" and sys.version_info < (3, 14):
            pytest.skip("needs Python 3.14")
        process = run_python(
            f"""
            from metainformant.core import parallel
            from metainformant.core.parallel import {how}
            absolute = abs
            if "{how}" == "async_map":
                async def absolute(number):
                    return abs(number)
            class Late:
                def __init__(self):
                    self.map, self.error_type, self.say = {how}, parallel.ParallelError, print
                    self.func = absolute
                def __del__(self):
                    try:
                        list(self.map(self.func, [-1, -2]))
                    except self.error_type as error:
                        self.say("while the interpreter exits" in str(error))
            if __name__ == "__main__":
                if {is_warm}:  # brings in all that is imported only when it is needed
                    list({how}(absolute, [-1]))
                late = Late()
            """
        )
        assert process.returncode == 0
        if HAS_GIL or sys.version_info >= (3, 14):
            assert (process.stdout, process.stderr) == ("True\n", "")
        # Else functions live for ever once there was a thread, with what __main__ refers to.
        # So the interpreter empties all modules first, and no map has a function left to call.

    @pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="needs fork")
    @pytest.mark.filterwarnings("ignore::DeprecationWarning")
    def test_a_map_works_in_a_forked_child(self) -> None:
        process = run_python(
            """
            import os, threading, warnings
            warnings.simplefilter("ignore")
            from metainformant.core import parallel
            def task(number):
                if number == 1:
                    child = os.fork()
                    if child == 0:
                        values = parallel.thread_map(abs, [-1, -2])
                        os._exit(0 if values == [1, 2] else 1)
                    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
                return number
            print(parallel.thread_map(task, [0, 1, 2]))
            """
        )
        assert (process.stdout, process.stderr) == ("[0, 0, 2]\n", "")

    @pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="needs fork")
    def test_a_stream_says_that_it_cannot_go_on_in_a_forked_child(self) -> None:
        process = run_python(
            """
            import os, warnings
            warnings.simplefilter("ignore")
            from metainformant.core import parallel
            for kind in ("thread", "process"):
                stream = parallel.imap(abs, range(100), backend=kind, max_workers=1, buffer_size=1)
                print(next(stream), flush=True)
                child = os.fork()
                if child == 0:
                    try:
                        list(stream)
                    except parallel.ParallelError as error:
                        os._exit(0 if "is a fork" in str(error) else 1)
                    os._exit(2)
                print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), len(list(stream)))
            """
        )
        assert (process.stdout, process.stderr) == ("0\n0 99\n" * 2, "")

    def test_a_daemon_thread_may_be_in_a_map_at_exit(self) -> None:
        process = run_python(
            """
            import threading
            from metainformant.core import parallel
            started = threading.Event()
            def task(_):
                started.set()
                threading.Event().wait()
            def caller():
                parallel.thread_map(task, range(3), timeout=30)
            threading.Thread(target=caller, daemon=True).start()
            started.wait()
            print("leaving")
            """
        )
        assert (process.stdout, process.stderr, process.returncode) == ("leaving\n", "", 0)

    def test_a_stream_can_be_closed_when_modules_are_empty(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As they are without the GIL, when the interpreter collects what a script has left."""
        stream = parallel.imap(abs, itertools.count(), max_workers=1)
        assert next(stream) == 0
        monkeypatch.setattr(stream_map, "sys", None)
        stream.close()
