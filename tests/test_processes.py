"""What goes wrong with worker processes, and what becomes of it: deaths, exits, and leftovers."""

from __future__ import annotations

import gc
import itertools
import multiprocessing
import os
import random
import resource
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metainformant.core import parallel
from metainformant.core.parallel.backends.ipc.channel import Channel
from metainformant.core.parallel.backends.ipc.shared_memory import Segment, mapped
from metainformant.core.parallel.backends.isolated.job import RemoteJob
from metainformant.core.parallel.backends.isolated.result_buffer import SIZE, Header, ResultBuffer
from metainformant.core.parallel.backends.processes.start import main_can_be_imported, starting
from metainformant.core.parallel.backends.processes.start import start as start_process

from . import process_tasks
from .backends import tasks
from .backends.table import FORKS, KINDS
from .support import without_coverage

if sys.platform == "win32":
    pytest.skip("needs signals", allow_module_level=True)

ROOT = Path(__file__).parent.parent
METHODS = [kind.name for kind in KINDS if "start_method" in kind.options]
every_method = pytest.mark.parametrize(
    "method", [pytest.param(name, marks=FORKS if name == "fork" else []) for name in METHODS]
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


def wait_until(condition: Callable[[], object], seconds: float = 30) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.005)


def wait_until_gone(pids: list[int], seconds: float = 30) -> None:
    wait_until(lambda: not any(map(is_alive, pids)), seconds)


class TestDeaths:
    """A worker that dies costs the item that it was at, and nothing else."""

    @every_method
    def test_only_the_item_in_flight_is_lost(self, method: Any, tmp_path: Path) -> None:
        path = str(tmp_path / "runs")
        deaths = dict(zip((0, 5, 11, 23), process_tasks.FATES, strict=True))  # of two chunks
        items = [(path, number, deaths.get(number, "")) for number in range(24)]
        results = parallel.process_map(
            process_tasks.die_if, items, 2, chunk_size=12, start_method=method
        )
        died = []
        result: Any
        for number, result in enumerate(results):
            if number not in deaths:
                assert result[0] == number
                continue
            assert isinstance(result, parallel.WorkerDiedError)
            assert result.index == number
            assert result.fate == process_tasks.FATES[deaths[number]]
            assert result.item.startswith(f"('{tmp_path}"[:10])
            assert result.worker.startswith("process_map-")
            died.append(result.pid)
        assert sorted(died) == sorted(map(int, tasks.notes(f"{path}-died")))
        assert sorted(map(int, tasks.notes(path))) == list(range(24))

    @pytest.mark.filterwarnings(FORKS[0].args[0], FORKS[1].args[0])
    def test_a_hundred_of_a_thousand(self, tmp_path: Path) -> None:
        path = str(tmp_path / "runs")
        fatal = set(random.Random(1).sample(range(1000), 100))
        items = [(path, number, "exit" if number in fatal else "") for number in range(1000)]
        results = parallel.process_map(process_tasks.die_if, items, 2, start_method="fork")
        result: Any
        for number, result in enumerate(results):
            if number in fatal:
                assert isinstance(result, parallel.WorkerDiedError)
                assert result.index == number
            else:
                assert result[0] == number
        assert sorted(map(int, tasks.notes(path))) == list(range(1000))

    def test_a_lost_item_may_be_tried_again(self, tmp_path: Path) -> None:
        path = str(tmp_path / "runs")
        items = [(path, number) for number in range(3)]
        results = parallel.process_map(process_tasks.die_at_first, items, 2, retries=1, backoff=0)
        assert results == [0, 1, 2]
        for number in range(3):
            assert tasks.notes(f"{path}-{number}") == ["attempt"] * 2

    def test_an_item_that_kills_who_reads_it(self) -> None:
        items = [0, 1, process_tasks.DiesWhenRead(), 3, 4]
        results = parallel.process_map(tasks.same, items, 1, chunk_size=5)
        assert isinstance(results[2], parallel.WorkerDiedError)
        assert (results[2].index, results[2].fate) == (2, "exited with status 9")
        assert [*results[:2], *results[3:]] == [0, 1, 3, 4]

    def test_it_may_be_raised_or_counted(self, tmp_path: Path) -> None:
        items = [(str(tmp_path / "runs"), number, "exit") for number in range(5)]
        with pytest.raises(parallel.WorkerDiedError, match="exited with status 7"):
            parallel.process_map(process_tasks.die_if, items, 1, on_error="raise")
        results = parallel.process_map(process_tasks.die_if, items, 1, max_failures=1)
        assert [type(result) for result in results[:2]] == [parallel.WorkerDiedError] * 2
        assert [type(result) for result in results[2:]] == [parallel.TaskCancelledError] * 3

    @every_method
    def test_one_that_dies_before_its_first_item_stops_the_map(self, method: Any) -> None:
        began = time.monotonic()
        for initializer in (process_tasks.exit_at_once, process_tasks.DiesWhenPrepared()):
            if method == "fork" and initializer is not process_tasks.exit_at_once:
                continue  # what is inherited is not read
            with pytest.raises(parallel.ParallelError, match=r"exited with status \d before it"):
                parallel.process_map(abs, range(9), 2, initializer=initializer, start_method=method)
        assert time.monotonic() - began < 15

    def test_what_a_killed_task_had_started_is_killed_too(self, tmp_path: Path) -> None:
        path = str(tmp_path / "pids")
        results = parallel.process_map(process_tasks.start_sleeper, [path], 1, timeout=1.5)
        assert isinstance(results[0], parallel.TaskTimeoutError)
        (pid,) = map(int, tasks.notes(path))
        wait_until_gone([pid])

    @pytest.mark.parametrize("leave", [process_tasks.leave_a_thread, process_tasks.fork_and_leave])
    def test_what_tasks_leave_running_keeps_nobody_waiting(self, leave: Any) -> None:
        began = time.monotonic()
        assert parallel.process_map(leave, range(3), 1) == [0, 1, 2]
        assert time.monotonic() - began < 30


@linux
class TestLeftovers:
    @every_method
    def test_many_maps_leave_no_process_and_no_descriptor(self, method: Any) -> None:
        def state() -> tuple[int, int]:
            gc.collect()
            return len(os.listdir("/proc/self/fd")), len(multiprocessing.active_children())

        def maps() -> list[Any]:
            hang = ("sleeps", "", 0)
            stream: dict[str, Any] = {"backend": "process", "start_method": method}
            return [
                parallel.process_map(abs, range(5), 2, start_method=method),
                parallel.process_map(int, "x", 1, start_method=method),
                parallel.process_map(tasks.stuck, [hang], 1, timeout=0.05, start_method=method),
                parallel.process_map(tasks.make, [("bytes", 100_000)], 1, start_method=method),
                list(parallel.imap(abs, [1], **stream)),
                # Parts with its workers in the middle of what they do:
                next(parallel.imap(abs, tasks.endless(), **stream)),
            ]

        maps()  # the first starts what multiprocessing keeps
        wait_until(lambda: state()[1] == 0)
        before = state()
        kept = [maps() for _ in range(2)]
        wait_until(lambda: state() <= before)  # what was dropped ends soon
        assert len(kept) == 2
        children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
        assert [pid for pid in children if not is_alive(int(pid))] == []  # zombies

    def test_errors_keep_no_descriptors(self, tmp_path: Path) -> None:
        before = len(os.listdir("/proc/self/fd"))
        path = str(tmp_path / "runs")
        items = [(path, number, "exit") for number in range(10)]
        kept: list[Any] = [*parallel.process_map(process_tasks.die_if, items, 1)]
        hung = [("swallows", path, number) for number in range(4)]
        kept += parallel.process_map(tasks.stuck, hung, 4, timeout=0.1)
        assert len(kept) == 14
        assert len(os.listdir("/proc/self/fd")) <= before + 4  # of the fork server

    @pytest.mark.parametrize("how", ["closed", "dropped", "exhausted"])
    def test_a_stream_leaves_no_process(self, how: str) -> None:
        before = set(multiprocessing.active_children())
        stream = parallel.imap(abs, range(10_000), backend="process", max_workers=2)
        assert next(stream) == 0
        if how == "closed":
            stream.close()
        elif how == "dropped":
            del stream
            gc.collect()
        else:
            assert len(list(stream)) == 9999
        wait_until(lambda: set(multiprocessing.active_children()) <= before)

    def test_it_goes_on_with_the_workers_that_it_gets(self) -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        parallel.process_map(abs, [1], 1)  # so that the fork server runs
        used = len(os.listdir("/proc/self/fd"))
        for spare in (3, 8, 12, 20, 30):
            resource.setrlimit(resource.RLIMIT_NOFILE, (used + spare, hard))
            try:
                results = parallel.process_map(abs, range(-50, 0), 4)
            except parallel.ParallelError as error:
                assert "can't" in str(error)  # noqa: PT017  # it may or may not be raised
            except OSError as error:
                assert error.errno == 24  # noqa: PT017
            else:
                assert results == list(range(50, 0, -1))
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert len(os.listdir("/proc/self/fd")) <= used + 1


class TestLimits:
    def test_a_worker_is_replaced_after_so_many_items(self) -> None:
        pids = parallel.process_map(process_tasks.hoard, [0] * 10, 1, max_tasks_per_worker=4)
        assert [len(list(run)) for _, run in itertools.groupby(pids)] == [4, 4, 2]

    def test_a_worker_that_uses_too_much_is_replaced_between_items(self) -> None:
        """It is seen within 0.05 s; the others would take two seconds."""
        limit = 140 * 2**20
        pids = parallel.process_map(process_tasks.hoard, [150] + [0] * 200, 1, memory_limit=limit)
        assert len([*itertools.groupby(pids)]) == 2

    def test_a_worker_that_explodes_within_an_item_is_killed(self) -> None:
        limit = 150 * 2**20
        results = parallel.process_map(process_tasks.explode, range(3), 1, memory_limit=limit)
        assert results[0] == 0
        assert isinstance(results[1], parallel.WorkerDiedError)
        assert "far more than memory_limit=150 MiB" in str(results[1])
        assert results[2] == 2

    def test_numerical_libraries_use_no_more_threads_than_there_is_room_for(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PYTHON_CPU_COUNT", "6")
        assert parallel.process_map(process_tasks.thread_variables, [0], 2) == [{"3"}]
        assert parallel.process_map(process_tasks.thread_variables, [0], 8) == [{"1"}]
        variables = process_tasks.thread_variables
        assert parallel.process_map(variables, [0], 1, inner_threads=2) == [{"2"}]

    def test_libraries_that_are_loaded_already_are_limited_too(self) -> None:
        pytest.importorskip("numpy")
        pytest.importorskip("threadpoolctl")
        threads = process_tasks.blas_threads
        options: Any = {"inner_threads": 1, "initializer": __import__, "initargs": ("numpy",)}
        assert parallel.process_map(threads, [0], 1, **options)[0] <= {1}


class TestThreads:
    @pytest.mark.filterwarnings(FORKS[0].args[0], FORKS[1].args[0])
    def test_maps_in_several_threads_at_once(self) -> None:
        results: dict[int, Any] = {}

        def caller(number: int) -> None:
            method: Any = METHODS[number % len(METHODS)]
            items = range(number, number + 200)
            results[number] = parallel.process_map(tasks.double, items, 1, start_method=method)

        threads = [threading.Thread(target=caller, args=(number,)) for number in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        for number in range(5):
            assert results[number] == [2 * n for n in range(number, number + 200)]

    def test_the_default_never_forks(self) -> None:
        from metainformant.core.parallel.backends.processes.pool import default_start_method

        assert default_start_method() in ("spawn", "forkserver")
        assert parallel.process_map(abs, [-1]) == [1]  # a warning would be an error

    @pytest.mark.skipif("fork" not in METHODS, reason="needs fork")
    @pytest.mark.filterwarnings(FORKS[1].args[0])
    def test_a_stream_that_forks_does_so_beside_its_own_threads(self) -> None:
        items = (n for n in [1])
        with pytest.warns(RuntimeWarning, match="has the threads of the stream"):
            results = list(
                parallel.imap(tasks.double, items, backend="process", start_method="fork")
            )
        assert results == [2]

    @pytest.mark.skipif("fork" not in METHODS, reason="needs fork")
    @pytest.mark.filterwarnings(FORKS[1].args[0])
    def test_forking_beside_threads_warns_in_the_line_that_calls(self) -> None:
        release = threading.Event()
        thread = threading.Thread(target=release.wait)
        thread.start()
        try:
            with pytest.warns(RuntimeWarning, match="leave start_method out") as caught:
                parallel.process_map(abs, [-1], 1, start_method="fork")
        finally:
            release.set()
            thread.join()
        assert [Path(one.filename).name for one in caught if one.category is RuntimeWarning] == [
            "test_processes.py"
        ]


# Whole interpreters, watched from outside


class Child:
    """A script that runs on its own, in a process group of its own."""

    def __init__(self, path: Path, code: str, *arguments: str, how: str = "script") -> None:
        source = textwrap.dedent(code)
        script = path / "script.py"
        script.write_text(source)
        command = [sys.executable, *{"script": [str(script)], "-c": ["-c", source]}.get(how, ["-"])]
        self.pids_file = path / "pids"
        given = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
        paths = [str(ROOT), *map(os.path.abspath, given)]
        environment = {
            **without_coverage(),
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


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Child]]:
    children: list[Child] = []

    def begin(code: str, *arguments: str, how: str = "script") -> Child:
        directory = tmp_path / str(len(children))
        directory.mkdir()
        children.append(Child(directory, code, *arguments, how=how))
        return children[-1]

    yield begin
    for child in children:
        child.process.kill()
        child.process.wait()


@pytest.fixture(autouse=True)
def no_shared_memory_is_left() -> Iterator[None]:
    before = set(os.listdir("/dev/shm")) if os.path.isdir("/dev/shm") else set()
    yield
    if before or os.path.isdir("/dev/shm"):
        after = set(os.listdir("/dev/shm"))
        assert not [name for name in after - before if "metainformant" in name]


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
        tasks.abandoned((kind, "", 0))
        time.sleep(1000)

    if __name__ == "__main__":
        kinds = ["loops", "sleeps", "computes in C", "starts another"]
        try:
            parallel.process_map(task, kinds, 4, start_method=sys.argv[1])
        except KeyboardInterrupt:
            print("interrupted", time.monotonic())
"""


class TestEndings:
    @every_method
    @pytest.mark.parametrize("whom", ["group", "parent"])
    def test_ctrl_c(self, method: str, whom: str, start: Callable[..., Child]) -> None:
        child = start(BUSY, method)
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
        self, method: str, name: str, start: Callable[..., Child]
    ) -> None:
        child = start(BUSY, method)
        pids = child.pids(5)
        child.process.send_signal(getattr(signal, name))
        child.process.wait(30)
        wait_until_gone(pids)
        _, err, code = child.end()
        assert (err, code) == ("", -getattr(signal, name))

    @every_method
    def test_a_script_without_a_guard(self, method: str, start: Callable[..., Child]) -> None:
        child = start(
            """
            import sys
            from metainformant.core import parallel
            print(parallel.process_map(abs, [-1, -2, -3], 3, start_method=sys.argv[1]))
            """,
            method,
        )
        out, err, code = child.end()
        if method == "fork":
            assert (out, err, code) == ("[1, 2, 3]\n", "", 0)
            return
        assert code == 1
        assert "if __name__ == '__main__':" in err.splitlines()[-1]
        assert err.count("Traceback") == 1
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


BY_VALUE = """
    import sys
    from metainformant.core import parallel
    if "without" in sys.argv:
        sys.modules["cloudpickle"] = None

    class Thing:
        def __init__(self, number):
            self.number = number

    class OwnError(Exception):
        def __init__(self, thing, *, more):
            super().__init__("not two")
            self.more = more

    def task(thing):
        if thing.number == 2:
            raise OwnError(thing, more=[2])
        return Thing(thing.number + 1)

    if __name__ == "__main__":
        options = {"start_method": sys.argv[1]}
        add = 10
        try:
            results = parallel.process_map(task, [Thing(1), Thing(2)], 1, **options)
            print(type(results[0]) is Thing, results[0].number, repr(results[1]), results[1].more)
            print(parallel.process_map(lambda number: number + add, range(3), 1, **options))
        except parallel.ParallelError as error:
            print(error)
"""


class TestPicklingByValue:
    @pytest.mark.parametrize("how", ["script", "-c", "stdin"])
    @pytest.mark.parametrize("method", ["forkserver", "spawn"])
    def test_what_is_defined_in_main(
        self, how: str, method: str, start: Callable[..., Child]
    ) -> None:
        pytest.importorskip("cloudpickle")
        out, err, code = start(BY_VALUE, method, how=how).end()
        assert (err, code) == ("", 0)
        assert out.splitlines() == ["True 2 OwnError('not two') [2]", "[10, 11, 12]"]

    @pytest.mark.parametrize("how", ["script", "-c"])
    def test_without_cloudpickle(self, how: str, start: Callable[..., Child]) -> None:
        out, err, code = start(BY_VALUE, "spawn", "without", how=how).end()
        assert (err, code) == ("", 0)
        last = out.splitlines()[-1]
        if how == "script":
            assert out.startswith("True 2 OwnError('not two') [2]\n")
            assert "func=<function <lambda>" in last
            assert "can't be pickled" in last
        else:
            assert "func can't be read in a worker" in last
        assert "pip install 'metainformant[process]'" in last


def chosen(seed: int) -> tuple[list[str], dict[str, Any]]:
    chance = random.Random(seed)
    rare = ("hang", "busy", "swallow") if seed % 4 == 0 else ("fail",)
    kinds = ["value"] * 60 + ["fail", "return error", "unpicklable", "large"] * 4 + ["die"] * 2
    drawn = chance.choices(kinds, k=60)
    for kind in rare:
        drawn[chance.randrange(60)] = kind
    options = {
        "max_workers": chance.choice((1, 2, 3)),
        "chunk_size": chance.choice((None, None, 1, 7, 60)),
        "ordered": chance.random() < 0.7,
        "timeout": 0.5 if seed % 4 == 0 else None,
    }
    return drawn, options


@pytest.mark.skipif("fork" not in METHODS, reason="needs fork")
@pytest.mark.filterwarnings(FORKS[0].args[0], FORKS[1].args[0])
def test_many_maps_with_random_faults(tmp_path: Path) -> None:
    """Every outcome is what it must be, and nothing is run twice or not at all."""
    expected = {
        "fail": ValueError,
        "return error": KeyError,
        "unpicklable": parallel.ParallelError,
        "large": bytes,
        "die": parallel.WorkerDiedError,
        "hang": parallel.TaskTimeoutError,
        "busy": parallel.TaskTimeoutError,
        "swallow": parallel.TaskTimeoutError,
    }
    for seed in range(int(os.environ.get("PARALLEL_STRESS", "16"))):
        kinds, options = chosen(seed)
        path = str(tmp_path / f"runs-{seed}")
        items = [(number, kind, path) for number, kind in enumerate(kinds)]
        results = parallel.process_map(process_tasks.faulty, items, start_method="fork", **options)
        try:
            wanted = [expected.get(kind, int) for kind in kinds]
            got = [type(result) for result in results]
            assert len(got) == 60
            assert sorted(map(int, tasks.notes(path))) == list(range(60))
            if options["ordered"]:
                assert got == wanted
                assert all(r == n for n, r in enumerate(results) if type(r) is int)
            else:
                assert sorted(map(repr, got)) == sorted(map(repr, wanted))
        except AssertionError as error:
            error.add_note(f"seed {seed}, options {options}")
            raise


# The shared memory in which a worker slice_ how far it is


class FakeHandle:
    """What a job has to know of its worker."""

    def __init__(self) -> None:
        self.segment = Segment(SIZE)
        self.buffer = ResultBuffer(self.segment)


def _nothing(_: object) -> None: ...


def job_of(count: int, handle: FakeHandle) -> RemoteJob:
    job = RemoteJob(list(range(count)), 0, 1, 1, _nothing, _nothing, timed=False)
    job.handle, job.sent = handle, count  # type: ignore[assignment]
    handle.buffer.prepare(count)
    handle.buffer.header[Header.JOB] = 1
    return job


@pytest.fixture(scope="module")
def handle() -> Iterator[FakeHandle]:
    handle = FakeHandle()
    yield handle
    handle.segment.close()


@settings(deadline=None)
@given(data=st.data(), count=st.integers(1, 20))
def test_any_interleaving_of_runs_and_cuts(data: st.DataObject, count: int) -> None:
    """The boundary that the engine's side computes after a cut is right in every interleaving."""
    handle = _hand
    buffer, job = handle.buffer, job_of(count, handle)
    tape = buffer.permitted(list(range(count)), timed=False)
    started: list[int] = []
    mine = count  # the engine's side owns what is from here on
    for step in data.draw(st.lists(st.sampled_from(["start", "finish", "cut"]), max_size=60)):
        done = job.completed()
        if step == "start" and len(started) == done:
            item = next(tape, None)
            if item is not None:
                started.append(item)
        elif step == "finish" and done < len(started):
            buffer.kinds[done] = 1
        elif step == "cut":
            mine = min(mine, job.truncate(data.draw(st.integers(0, count))))
        assert started == list(range(len(started)))
        assert len(started) <= mine
    for item in tape:
        started.append(item)  # noqa: PERF402  # one by one, as a worker does
    assert len(started) in (mine, mine - 1)


_hand = FakeHandle()


@given(st.lists(st.booleans(), max_size=50), st.booleans())
def test_nothing_is_run_behind_the_first_item_that_may_not_be(
    permits: list[bool], timed: bool
) -> None:
    """While a range of permits is being cleared, any part of it may be seen to be cleared."""
    buffer = _hand.buffer
    buffer.permits[: len(permits)] = bytes(permits)
    stop = permits.index(False) if False in permits else len(permits)
    assert list(buffer.permitted(list(range(len(permits))), timed)) == list(range(stop))


def test_cuts_against_a_running_worker(handle: FakeHandle) -> None:
    """At full speed: the worker and the engine's side never both own an item."""
    count = 5000
    for round_number in range(100):
        job, buffer = job_of(count, handle), handle.buffer
        tape = buffer.permitted(list(range(count)), timed=False)
        barrier = threading.Barrier(2)
        ran: list[int] = []

        def consume(
            tape: Any = tape, buffer: Any = buffer, barrier: Any = barrier, ran: Any = ran
        ) -> None:
            barrier.wait(30)
            for position, item in enumerate(tape):
                ran.append(item)
                buffer.kinds[position] = 1

        thread = threading.Thread(target=consume)
        thread.start()
        barrier.wait(30)
        mine = count
        for keep in sorted((1 + (round_number * n * 37) % count for n in (7, 3)), reverse=True):
            while job.completed() < keep // 2 and thread.is_alive():
                pass
            mine = min(mine, job.truncate(keep))
        thread.join(30)
        assert ran == list(range(len(ran)))
        assert mine - 1 <= len(ran) <= mine
        assert job.completed() == len(ran)


# What is short: descriptors, and fork servers


def test_large_results_that_cannot_be_received_cost_their_own_slots(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> Any:
        raise OSError("Too many open files")

    monkeypatch.setattr(Channel, "open", fail)  # in this process; workers have their own
    results = parallel.process_map(process_tasks.large_or_fails, [10, 10**6, -(10**6), 20], 1)
    assert (results[0], results[3]) == (bytes(10), bytes(20))
    for error in results[1:3]:
        assert isinstance(error, parallel.ParallelError)
        assert "can't be read: OSError: Too many open files" in str(error)


def test_large_results_are_copied_where_they_cannot_be_mapped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object, **__: object) -> Any:
        raise OSError("Too many open files")

    segment = Segment(SIZE)
    monkeypatch.setattr("metainformant.core.parallel.backends.ipc.shared_memory.mmap.mmap", fail)
    copy = mapped(segment.fd, SIZE)
    segment.close()
    assert (type(copy), len(copy)) == (bytearray, SIZE)


def test_a_fork_server_that_ends_again_and_again() -> None:
    class Process:
        starts = 0

        def start(self) -> None:
            self.starts += 1
            raise ConnectionResetError if self.starts % 2 else EOFError

    process = Process()
    with pytest.raises(OSError, match=r"ends again and again.*if __name__ == '__main__'"):
        start_process(process)
    assert process.starts == 3


def test_a_daemonic_process_has_no_children(monkeypatch: pytest.MonkeyPatch) -> None:
    process: Any = multiprocessing.current_process()
    monkeypatch.setitem(process._config, "daemon", True)
    with pytest.raises(parallel.ParallelError, match="process_map can't start processes in"):
        parallel.process_map(abs, [-1])


@pytest.mark.parametrize(
    ("attributes", "found"),
    [
        ({"__spec__": ModuleSpec("package.__main__", None)}, True),
        ({"__spec__": None, "__file__": __file__}, True),
        ({"__spec__": None, "__file__": "<stdin>"}, False),
        ({"__spec__": None}, False),
    ],
)
def test_whether_workers_find_what_is_in_main(
    attributes: dict[str, Any], found: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    main = ModuleType("__main__")
    vars(main).update(attributes)
    monkeypatch.setitem(sys.modules, "__main__", main)
    assert main_can_be_imported() is found
    with starting("spawn"):  # what is started here must not look for what is not there
        assert ("__file__" in vars(main)) == (found and "__file__" in attributes)
    assert vars(main).get("__file__") == attributes.get("__file__")
