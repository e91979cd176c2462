"""The timeout of one task: exact, harmless to its neighbours, and never waited for."""

from __future__ import annotations

import contextlib
import gc
import pickle
import sys
import threading
import time
import weakref

import pytest

from metainformant.core import parallel
from tests.support import run_python, wait_for_other_threads


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("hung", [0, 3, 9])
def test_finished_and_waiting_neighbours_in_a_chunk_are_kept(
    release: threading.Event, workers: int, hung: int
) -> None:
    runs: list[int] = []

    def task(number: int) -> int:
        runs.append(number)
        if number == hung:
            release.wait(60)
        return number

    results = parallel.thread_map(task, range(10), max_workers=workers, chunk_size=10, timeout=0.3)
    assert isinstance(results[hung], parallel.TaskTimeoutError)
    assert [results[n] for n in range(10) if n != hung] == [n for n in range(10) if n != hung]
    assert sorted(runs) == list(range(10))


def test_a_late_result_is_ignored(release: threading.Event) -> None:
    returned = threading.Event()

    def task(number: int) -> str:
        if number == 0:
            with contextlib.suppress(BaseException):  # even if it was told to end
                release.wait(60)
            returned.set()
        return "value"

    results = parallel.thread_map(task, range(2), timeout=0.3)
    release.set()
    assert returned.wait(30)
    assert isinstance(results[0], parallel.TaskTimeoutError)
    assert results[1] == "value"


def test_the_clock_starts_with_the_task_not_with_the_call() -> None:
    """Twenty tasks in a row take far longer than the limit of one."""
    results = parallel.thread_map(time.sleep, [0.02] * 20, max_workers=1, timeout=0.3)
    assert results == [None] * 20


def test_a_hung_thread_ends_with_its_task(release: threading.Event) -> None:
    threads: list[threading.Thread] = []

    def task(_: int) -> None:
        threads.append(threading.current_thread())
        release.wait(60)

    parallel.thread_map(task, range(3), max_workers=3, timeout=0.05)
    assert len(threads) == 3
    release.set()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()


class Thing:
    """An object that can be referred to weakly."""

    number: int


def test_an_error_keeps_no_item_and_no_result(release: threading.Event) -> None:
    refs: list[weakref.ref[Thing]] = []

    def make(number: int) -> Thing:
        thing = Thing()
        thing.number = number
        refs.append(weakref.ref(thing))
        return thing

    def task(thing: Thing) -> Thing:
        if thing.number == 1:
            release.wait(60)
        return make(-1)

    before = set(threading.enumerate())
    things = [make(number) for number in range(3)]
    error = parallel.thread_map(task, things, max_workers=1, chunk_size=3, timeout=0.3)[1]
    assert isinstance(error, parallel.TaskTimeoutError)
    things.clear()
    release.set()
    wait_for_other_threads(before)
    assert not error.running
    gc.collect()
    assert [ref() for ref in refs] == [None] * len(refs)


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_errors_survive_pickling_whole(protocol: int) -> None:
    timeout = parallel.TaskTimeoutError(41, "'chr7'", 30.0, "w-3", ((__file__, 1, "task"),))
    cancelled = parallel.TaskCancelledError(5, "'x'", "cancel was set", started=True)
    for error in (timeout, cancelled):
        error.add_note("a note")
        copy = pickle.loads(pickle.dumps(error, protocol))
        assert type(copy) is type(error)
        assert str(copy) == str(error)
        assert copy.args == error.args
        assert vars(copy) == vars(error)
    assert pickle.loads(pickle.dumps(timeout)).stack == timeout.stack


def test_the_interpreter_exits_at_once_with_hung_tasks() -> None:
    process = run_python(
        """
        import threading, time
        from metainformant.core import parallel
        hang = threading.Event()
        results = parallel.thread_map(lambda _: hang.wait(), range(30), 10, timeout=0.05)
        print(sum(isinstance(result, TimeoutError) for result in results))
        """
    )
    assert (process.returncode, process.stdout, process.stderr) == (0, "30\n", "")


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
def test_ctrl_c_gets_through_hung_tasks_without_noise() -> None:
    process = run_python(
        """
        import os, signal, threading, time
        from metainformant.core import parallel
        hang = threading.Event()
        started = threading.Barrier(20)
        def task(number):
            if started.wait() == 0:
                signalled.append(time.monotonic())
                os.kill(os.getpid(), signal.SIGINT)
            hang.wait()
        signalled = []
        try:
            parallel.thread_map(task, range(20), 20)
        except KeyboardInterrupt:
            print(time.monotonic() - signalled[0] < 2)
        """
    )
    assert (process.returncode, process.stdout, process.stderr) == (0, "True\n", "")
