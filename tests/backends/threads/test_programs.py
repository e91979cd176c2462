"""The programs of an overdue task are ended with it, and no others."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from metainformant.core import parallel
from metainformant.core.parallel.host.programs import CAN_TELL
from metainformant.core.parallel.worker import interrupt
from tests.support import run_python

pytestmark = pytest.mark.skipif(not CAN_TELL, reason="needs the children of threads in /proc")

SLEEP = [sys.executable, "-S", "-c", "import time; time.sleep(60)"]


def has_ended(pid: int) -> bool:
    """Wait until a process has ended, at most half a minute."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state in "ZX":
            return True
        time.sleep(0.01)
    return False


def test_a_program_is_ended_with_the_call_that_waits_for_it() -> None:
    started: list[int] = []

    def task(_: int) -> None:
        with subprocess.Popen(SLEEP) as program:
            started.append(program.pid)
            program.wait()

    results = parallel.thread_map(task, range(3), 1, timeout=0.3)
    assert all(isinstance(result, parallel.TaskTimeoutError) for result in results)
    assert len(started) == 3
    assert all(has_ended(pid) for pid in started)


def test_with_all_that_it_has_started() -> None:
    started: list[int] = []
    ready = threading.Event()
    code = (
        "import subprocess, sys; child = subprocess.Popen([sys.executable, '-S', '-c', "
        "'import time; time.sleep(60)']); print(child.pid, flush=True); child.wait()"
    )

    def task(_: int) -> None:
        command = [sys.executable, "-S", "-c", code]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
            assert program.stdout is not None
            started.extend([program.pid, int(program.stdout.readline())])
            ready.set()
            program.wait()

    cancel = threading.Event()

    def cancel_when_ready() -> None:
        ready.wait(30)
        cancel.set()

    threading.Thread(target=cancel_when_ready).start()
    (error,) = parallel.thread_map(task, [0], cancel=cancel)
    assert isinstance(error, parallel.TaskCancelledError)
    assert len(started) == 2
    assert all(has_ended(pid) for pid in started)


def test_also_if_the_call_has_ended_with_its_thread_by_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A call that is not blocked ends as soon as the exception is set."""
    programs: list[subprocess.Popen[bytes]] = []
    threads: list[threading.Thread] = []
    set_exception = interrupt._set_exception

    def set_and_await_the_end(ident: int) -> bool:
        is_set = set_exception(ident)
        threads[0].join(30)
        return is_set

    def task(_: int) -> None:
        threads.append(threading.current_thread())
        programs.append(subprocess.Popen(SLEEP))
        while True:
            pass

    monkeypatch.setattr(interrupt, "_set_exception", set_and_await_the_end)
    (error,) = parallel.thread_map(task, [0], 1, timeout=0.3)
    assert isinstance(error, parallel.TaskTimeoutError)
    assert not threads[0].is_alive()
    (program,) = programs
    try:
        assert program.wait(30) < 0  # a signal
    finally:
        program.kill()
        program.wait()


def test_programs_of_the_state_and_of_other_tasks_go_on() -> None:
    programs: list[subprocess.Popen[bytes]] = []
    release = threading.Event()

    def start() -> subprocess.Popen[bytes]:
        program = subprocess.Popen(SLEEP)
        programs.append(program)
        return program

    class State:
        def __init__(self) -> None:
            self.program = start()

    def task(number: int, state: State) -> int:
        if number == 0:
            start()
            time.sleep(0.05)  # longer than a tick of the clock that tells the starts of programs
        else:
            release.wait(60)
        return number

    results = parallel.thread_map(task, range(2), 1, timeout=0.5, worker_state=State)
    try:
        assert results[0] == 0
        assert isinstance(results[1], parallel.TaskTimeoutError)
        time.sleep(0.05)
        assert [program.poll() for program in programs[:2]] == [None, None]
    finally:
        release.set()
        for program in programs:
            program.kill()
            program.wait()


@pytest.mark.parametrize("workers", ["Pool", "ProcessPoolExecutor"])
def test_workers_that_an_overdue_task_has_started_for_all_go_on(workers: str) -> None:
    process = run_python(
        f"""
        import multiprocessing, operator, os, threading
        from concurrent.futures import ProcessPoolExecutor
        from metainformant.core import parallel

        def pid():
            if {workers == "Pool"}:
                return pool.map(operator.call, [os.getpid])[0]
            return pool.submit(os.getpid).result()

        def task(_):
            pids.append(pid())
            cancel.set()
            release.wait(60)

        if {workers == "Pool"}:
            pool = parallel.Pool(backend="process", max_workers=1)
        else:
            pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))
        pids, cancel, release = [], threading.Event(), threading.Event()
        with pool:
            (error,) = parallel.thread_map(task, [0], cancel=cancel)
            print(type(error).__name__, pid() == pids[0])
            release.set()
        """
    )
    assert (process.stdout, process.stderr) == ("TaskCancelledError True\n", "")
