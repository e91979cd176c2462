"""The fork server of the default start method, which imports a script once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.backends import tasks
from tests.backends.processes.support import Child, linux, wait_until_gone

pytestmark = linux

# A script that notes each import of it in another process.
SCRIPT = """
    import os, sys, time
    from pathlib import Path
    from metainformant.core import parallel
    from tests.backends import tasks

    def seen(path):
        "What is in a file of /proc; nothing if its thread has just ended."
        try:
            return Path(path).read_text()
        except OSError:
            return ""

    def servers():
        "The pids of this process's children, and of theirs."
        found, new = [], [os.getpid()]
        while new:
            path = f"/proc/{{new.pop()}}/task"
            for pid in os.listdir(path) if os.path.isdir(path) else []:
                new += seen(f"{{path}}/{{pid}}/children").split()
            found += new
        name = "fork_server_process"
        return [pid for pid in set(found) if name in seen(f"/proc/{{pid}}/cmdline")]

    def double(number):
        return 2 * number

    def imports():
        return len(tasks.notes("imports"))

    if __name__ != "__main__":
        tasks.note("imports", os.getpid())
{top}
    if __name__ == "__main__":
{main}
"""


@pytest.fixture
def run(start: Callable[..., Child]) -> Callable[..., str]:
    """What a script prints, whose processes are all gone when it has ended."""

    def run(main: str, top: str = "", *, error: str = "", status: int = 0) -> str:
        child = begin(start, main, top)
        out, err, code = child.end()
        assert error in err if error else not err, err
        assert code == status
        path = child.pids_file.parent / "servers"
        wait_until_gone(list(map(int, tasks.notes(path))))
        return out

    return run


def begin(
    start: Callable[..., Child], main: str, top: str = "", *, is_interrupted: bool = False
) -> Child:
    def indented(code: str, by: int) -> str:
        lines = [line for line in code.splitlines() if line.strip()]
        least = min((len(line) - len(line.lstrip()) for line in lines), default=0)
        return "\n".join(" " * (4 + by) + line[least:] for line in lines)

    main += "\nfor pid in servers(): tasks.note('servers', pid)"
    lines = main.splitlines()
    body = "\n".join(lines[:-1])
    return start(
        SCRIPT.format(top=indented(top, 0), main=indented(body, 4) + "\n" + " " * 8 + lines[-1]),
        is_interrupted=is_interrupted,
    )


class TestImports:
    def test_a_script_is_imported_once_for_all_maps(self, run: Callable[..., str]) -> None:
        out = run(
            """
            for _ in range(3):
                print(parallel.process_map(double, range(3), 2))
            with parallel.Pool(backend="process", max_workers=2) as pool:
                print(pool.map(double, range(3)))
            print(imports())
            """,
            "print('imported', flush=True)",
        )
        assert out.splitlines() == ["imported"] * 2 + ["[0, 2, 4]"] * 4 + ["1"]

    def test_maps_in_many_threads_share_one_import(self, run: Callable[..., str]) -> None:
        out = run(
            """
            maps = [[n, n + 1] for n in range(8)]
            print(parallel.thread_map(lambda m: parallel.process_map(double, m, 1), maps))
            print(imports())
            """
        )
        assert out == f"{[[2 * n, 2 * n + 2] for n in range(8)]}\n1\n"

    @pytest.mark.parametrize("which", ["script.py", "helper.py", "archive.zip"])
    def test_a_file_that_changes_is_imported_again(
        self, which: str, run: Callable[..., str]
    ) -> None:
        out = run(
            f"""
            path = Path({which!r})
            print(parallel.process_map(value, [1], 1))
            print(parallel.process_map(value, [1], 1))
            if path.suffix == ".zip":
                write(2)
            elif path.name == "helper.py":
                path.write_text("VALUE = 2  # longer")
            else:
                path.write_text(path.read_text().replace("SCRIPT = 1", "SCRIPT = 2  # longer"))
            print(parallel.process_map(value, [1], 1))
            """,
            """
            import zipfile
            def write(number):
                with zipfile.ZipFile("new.zip", "w") as file:
                    file.writestr("zipped.py", f"VALUE = {number}")
                    file.writestr("other.py", "#" * number)
                os.replace("new.zip", "archive.zip")
            if __name__ == "__main__":
                Path("helper.py").write_text("VALUE = 1")
                write(1)
            sys.path.append("archive.zip")
            import helper, zipped
            SCRIPT = 1
            def value(_):
                return helper.VALUE * SCRIPT * zipped.VALUE
            """,
        )
        assert out == "[1]\n[1]\n[2]\n"

    def test_what_is_asked_for_is_that_of_multiprocessing(self, run: Callable[..., str]) -> None:
        out = run(
            """
            print(parallel.process_map(double, [1], 1, start_method="forkserver"))
            print(servers())
            """
        )
        assert out == "[2]\n[]\n"


class TestFallback:
    """Scripts that workers have to import each, since copies would not be the same."""

    @pytest.mark.parametrize(
        ("top", "why"),
        [
            ("threading.Thread(target=time.sleep, args=(9,), daemon=True).start()", "threads"),
            ("log = open('log', 'a')", "has left open /tmp"),
            ("pair = socket.socketpair()", "has left open socket"),
        ],
    )
    def test_what_a_fork_can_not_copy(self, top: str, why: str, run: Callable[..., str]) -> None:
        out = run(
            """
            logging.basicConfig(level=logging.INFO, stream=sys.stdout)
            print(parallel.process_map(double, range(3), 1), imports())
            print(parallel.process_map(double, range(3), 1), imports())
            """,
            f"import logging, socket, threading\nif __name__ != '__main__':\n    {top}",
        )
        first, told, second = out.splitlines()
        assert (first, second) == ("[0, 2, 4] 2", "[0, 2, 4] 3")
        assert told.startswith("INFO:metainformant.parallel:each worker process imports the script")
        assert why in told

    @pytest.mark.parametrize("what", ["raise ValueError('broken')", "sys.exit(3)", "os._exit(0)"])
    def test_an_import_that_fails_is_told_once(self, what: str, run: Callable[..., str]) -> None:
        out = run(
            """
            try:
                parallel.process_map(double, range(3), 1)
            except parallel.ParallelError as error:
                print("before it was ready" in str(error))
            """,
            f"if __name__ != '__main__':\n    {what}",
            error="ValueError: broken" if "raise" in what else "",
        )
        assert out == "True\n"

    def test_an_import_that_hangs_does_not_outlive_the_deadline(
        self, start: Callable[..., Child]
    ) -> None:
        child = begin(
            start,
            """
            began = time.monotonic()
            (error,) = parallel.process_map(double, [1], 1, deadline=0.5)
            print(type(error).__name__, time.monotonic() - began < 5, flush=True)
            while len(servers()) < 2:
                time.sleep(0.01)
            """,
            "if __name__ != '__main__': time.sleep(1000)",
        )
        out, err, code = child.end()
        assert (out, err, code) == ("TaskCancelledError True\n", "", 0)
        pids = tasks.notes(child.pids_file.parent / "servers")
        assert len(pids) == 2
        wait_until_gone(list(map(int, pids)))

    def test_a_script_without_a_guard(self, start: Callable[..., Child]) -> None:
        child = start(
            """
            from metainformant.core import parallel
            print("begins")
            print(parallel.process_map(abs, [-1]))
            """
        )
        _, err, code = child.end()
        assert code == 1
        assert err.count("Traceback") == 1
        assert "if __name__ == '__main__':" in err.splitlines()[-1]


class TestState:
    def test_workers_see_what_has_changed_since_the_server_started(
        self, run: Callable[..., str]
    ) -> None:
        out = run(
            """
            os.environ["GOES"] = "1"
            print(parallel.process_map(state, [1], 1))
            os.environ["NEW"] = "2"
            del os.environ["GOES"]
            os.mkdir("folder")
            os.chdir("folder")
            sys.argv.append("more")
            sys.path.append("/last")
            print(parallel.process_map(state, [1], 1))
            os.chdir("..")
            """,
            """
            def state(_):
                return (
                    os.environ.get("GOES"), os.environ.get("NEW"), os.path.basename(os.getcwd()),
                    sys.argv[-1], sys.path[-1]
                )
            """,
        )
        first, second = map(eval, out.splitlines())
        assert first[0][:2] == ("1", None)
        assert second == [(None, "2", "folder", "more", "/last")]

    def test_workers_write_where_the_caller_writes_now(
        self, run: Callable[..., str], tmp_path: Path
    ) -> None:
        out = run(
            f"""
            parallel.process_map(write, [0])  # the server starts
            kept = [os.dup(number) for number in (1, 2)]
            for number, name in (1, "out.txt"), (2, "err.txt"):
                os.dup2(os.open({str(tmp_path)!r} + "/" + name, os.O_WRONLY | os.O_CREAT), number)
            parallel.process_map(write, [1])
            os.dup2(kept[0], 1)
            os.dup2(kept[1], 2)
            print(parallel.process_map(os.get_inheritable, [1, 2]))
            os.close(2)  # its number goes to something of the map
            parallel.process_map(write, [2])
            os.dup2(kept[1], 2)
            """,
            """
            def write(item):
                os.write(1, b"out %d\\n" % item)
                if item == 1:
                    os.write(2, b"err")
            """,
        )
        assert out == "out 0\n[True, True]\nout 2\n"
        assert (tmp_path / "out.txt").read_text() == "out 1\n"
        assert (tmp_path / "err.txt").read_text() == "err"

    def test_random_numbers_are_those_of_new_processes(self, run: Callable[..., str]) -> None:
        pytest.importorskip("numpy")
        out = run(
            """
            draws = [parallel.process_map(draw, [1], 1)[0] for _ in range(2)]
            for one, other in zip(*draws):
                print(one == other, end=" ")
            print(imports())
            """,
            """
            import random
            import numpy
            numpy.random.seed(1)
            legacy_seeded = numpy.random.RandomState(2)
            legacy = numpy.random.RandomState()
            fresh = numpy.random.default_rng()
            seeded = numpy.random.default_rng(3)
            own = random.Random()
            own_seeded = random.Random(4)
            random.seed(5)
            def draw(_):
                return (
                    numpy.random.random(), legacy_seeded.random(), seeded.random(),
                    own_seeded.random(), random.random(),
                    legacy.random(), fresh.random(), own.random(),
                    fresh.spawn(1)[0].random() if hasattr(fresh, "spawn") else own.random(),
                )
            """,
        )
        assert out.split() == ["True"] * 5 + ["False"] * 4 + ["1"]

    def test_random_numbers_without_any_seed(self, run: Callable[..., str]) -> None:
        pytest.importorskip("numpy")
        out = run(
            """
            print(len({parallel.process_map(draw, [1], 1)[0] for _ in range(3)}), imports())
            """,
            """
            import random
            import numpy
            def draw(_):
                return numpy.random.random(), random.random()
            """,
        )
        assert out == "3 1\n"

    def test_no_descriptor_of_the_server_is_in_a_worker(self, run: Callable[..., str]) -> None:
        out = run(
            """
            ours, theirs = (
                parallel.process_map(count, [1], 1, start_method=method)[0]
                for method in (None, "forkserver")
            )
            print(ours - theirs)
            """,
            """
            def count(_):
                return len(os.listdir("/proc/self/fd"))
            """,
        )
        assert int(out) <= 1  # the pipe by which its end is seen


class TestEnds:
    @pytest.mark.parametrize("whom", ["template", "keeper", "both"])
    def test_a_server_that_is_killed_is_replaced(self, whom: str, run: Callable[..., str]) -> None:
        out = run(
            f"""
            import signal
            def runs(pid):
                try:
                    state = Path(f"/proc/{{pid}}/stat").read_text().rsplit(")")[-1].split()[0]
                except OSError:
                    return False
                return state != "Z"
            print(parallel.process_map(double, [1], 1))
            template = tasks.notes("imports")[0]
            keeper = (set(servers()) - {{template}}).pop()
            whom = {{"template": [template], "keeper": [keeper], "both": [keeper, template]}}
            for pid in whom[{whom!r}]:
                tasks.note("servers", pid)
                os.kill(int(pid), signal.SIGKILL)
                while runs(pid):
                    time.sleep(0.01)
            print(parallel.process_map(double, [1], 1))
            print(parallel.process_map(double, [1], 1))
            """
        )
        assert out == "[2]\n" * 3

    def test_workers_outlive_the_server(self, run: Callable[..., str]) -> None:
        out = run(
            """
            import signal
            stream = parallel.imap(pid, range(2), backend="process", max_workers=1)
            first = next(stream)
            os.kill(int(tasks.notes("imports")[0]), signal.SIGKILL)
            tasks.open_gate("killed")
            print(next(stream) == first)
            """,
            """
            def pid(number):
                if number:
                    tasks.wait_for("killed")
                    time.sleep(0.2)
                return os.getpid()
            """,
        )
        assert out == "True\n"

    def test_a_fork_makes_its_own(self, run: Callable[..., str]) -> None:
        out = run(
            """
            import warnings
            print(parallel.process_map(parent, [1], 1) != [0], flush=True)
            theirs = servers()
            child = os.fork()
            if not child:
                print(parallel.process_map(double, [1], 1))
                own = servers()
                print(len(own), set(own) & set(theirs), flush=True)
                sys.exit()
            os.waitpid(child, 0)
            print(parallel.process_map(double, [2], 1), imports())
            """,
            """
            def parent(_):
                return os.getppid()
            """,
        )
        assert out == "True\n[2]\n2 set()\n[4] 2\n"

    @pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM", "SIGINT"])
    @pytest.mark.parametrize("hangs", [False, True])
    def test_it_ends_with_its_parent(
        self, name: str, hangs: bool, start: Callable[..., Child]
    ) -> None:
        child = begin(
            start,
            """
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            threading.Thread(target=parallel.process_map, args=(pause, [1], 1)).start()
            while len(servers()) < 2 or not imports():
                time.sleep(0.01)
            for pid in servers():
                tasks.note("servers", pid)
            tasks.note(os.environ["PIDS"], 1)
            time.sleep(1000)
            """,
            f"""
            import signal, threading
            def pause(_):
                time.sleep(1000)
            if __name__ != "__main__" and {hangs}:
                time.sleep(1000)
            """,
            is_interrupted=True,
        )
        child.pids(1)
        os.killpg(child.process.pid, getattr(signal, name))
        child.process.wait(30)
        pids = list(map(int, tasks.notes(child.pids_file.parent / "servers")))
        assert len(pids) >= 2
        wait_until_gone(pids)
        assert child.end()[:2] == ("", "")


def test_stamps_of_files_that_are_gone(tmp_path: Path) -> None:
    from metainformant.core.parallel.backends.processes.template import stamp

    (tmp_path / "here").write_text("x")
    assert stamp(str(tmp_path / "here" / "in it")) == stamp(str(tmp_path / "here"))
    assert stamp(str(tmp_path / "gone")) is None


def test_two_threads_ask_for_the_pid_of_a_worker_at_once() -> None:
    """The first one that learns of it closes the file that tells it."""
    from metainformant.core.parallel.backends.processes import fork_server, records

    class SlowRecord(records.WorkerRecord):
        def _get(self, which: int) -> int:
            if not found:
                found.append(None)  # only the first one is slow
                second.start()
                second.join(0.2)  # it must wait for this one
            return super()._get(which)

    popen: Any = fork_server.Popen.__new__(fork_server.Popen)
    popen._record = SlowRecord.filled()
    popen._record.set_pid(1234)
    found: list[None] = []
    seen: list[int] = []
    second = threading.Thread(target=lambda: seen.append(popen.pid))
    seen.append(popen.pid)
    second.join()
    assert seen == [1234, 1234]
    assert popen._record.fd == -1
