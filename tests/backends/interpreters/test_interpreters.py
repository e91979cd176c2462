"""Maps in subinterpreters: the same meaning, and what is different about them."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from metainformant.core import parallel
from metainformant.core.parallel import errors
from tests.backends.interpreters import tasks

if sys.version_info < (3, 14):
    pytest.skip("subinterpreters need Python 3.14", allow_module_level=True)


def run(func: Callable[..., Any], items: Any, **options: Any) -> list[Any]:
    return parallel.interpreter_map(func, items, **{"max_workers": 2, **options})


@pytest.fixture(autouse=True)
def join_workers() -> Iterator[Callable[[], None]]:
    """Waits until calls that were left behind have returned, and their interpreters ended."""
    before = set(threading.enumerate())

    def join() -> None:
        for thread in threading.enumerate():
            if thread not in before:
                thread.join(20)
                assert not thread.is_alive()

    yield join
    join()


def test_results_are_in_order() -> None:
    assert run(tasks.square, range(3000)) == [number * number for number in range(3000)]


def test_classes_texts_and_large_results_travel() -> None:
    items = [tasks.Item(number) for number in range(20)]
    assert [item.value for item in run(tasks.twice, items)] == list(range(0, 40, 2))
    large = ["x" * 300_000, b"y" * 300_000, None, True, 1.5, 2**80]
    assert run(tasks.same, large) == large


def test_work_is_done_in_several_interpreters() -> None:
    found = set(run(tasks.interpreter, range(200), chunk_size=1))
    assert id(tasks.initialized) not in found


def test_failures_are_values_with_notes_and_origin() -> None:
    zero, one = run(tasks.inverse, [0, 1])
    assert one == 1
    assert isinstance(zero, ZeroDivisionError)
    assert zero.__notes__ == ["item 0 (0), attempt 1"]
    assert "in inverse" in str(zero.__cause__)


def test_what_cannot_be_pickled_costs_only_its_slot() -> None:
    lock, one = run(tasks.same, [threading.Lock(), 1])
    assert one == 1
    assert isinstance(lock, parallel.ParallelError)
    assert "can't be pickled" in str(lock)
    (result,) = run(tasks.unpicklable, [1])
    assert isinstance(result, parallel.ParallelError)
    (error,) = run(tasks.stubborn, [1])
    assert "stubborn" in str(error)


def test_raise_and_skip() -> None:
    assert run(tasks.inverse, [0, 1, 2], on_error="skip") == [1, 0.5]
    with pytest.raises(ZeroDivisionError):
        run(tasks.inverse, [1, 0], on_error="raise")
    with pytest.raises(SystemExit):
        run(tasks.leave, [1])


@pytest.mark.parametrize("func", [tasks.loop_at_one, tasks.wait_at_one, tasks.sleep_at_one])
def test_an_overdue_call_costs_only_its_slot(func: Callable[[int], int]) -> None:
    results = run(func, range(5), timeout=0.5)
    error = results[1]
    assert isinstance(error, parallel.TaskTimeoutError)
    assert [*results[:1], *results[2:]] == [0, 2, 3, 4]
    assert func.__name__ in error.stack
    assert error.worker.startswith("interpreter_map-")


def test_python_code_is_ended_and_other_calls_are_left_behind(
    join_workers: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    (ended,) = run(tasks.loop_at_one, [1], timeout=0.3)
    join_workers()
    assert not ended.running
    (left,) = run(tasks.wait_at_one, [1], timeout=0.3)
    assert left.running
    monkeypatch.setattr(errors, "_ENDING_SECONDS", 0.0)  # in which it is said to be ending
    assert "still runs" in str(left)
    join_workers()
    assert not left.running


def test_calls_left_behind_are_counted() -> None:
    with pytest.raises(parallel.ParallelError, match="max_abandoned") as caught:
        run(tasks.wait_at_one, [1] * 20, timeout=0.1, max_abandoned=2)
    assert caught.value.results is not None


def test_tasks_can_ask_about_themselves() -> None:
    found = run(tasks.asked, "abc", timeout=60)
    assert found == [(index, 1, True, False) for index in range(3)]
    assert run(tasks.attempt, [0], retries=2, backoff=0) == [3]


def test_initializer_and_state_are_for_each_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    words = run(tasks.count_initialized, range(20), initializer=tasks.initialize, initargs=("a",))
    assert words == [["a"]] * 20
    assert tasks.initialized == []
    assert run(tasks.with_state, range(20), worker_state=tasks.State) == [1] * 20
    with pytest.raises(parallel.ParallelError, match="no index"):
        run(tasks.with_state, [1], worker_state=tasks.bad_state)


def test_maps_nest() -> None:
    (results,) = run(tasks.nested, [3])
    assert isinstance(results[0][0], ZeroDivisionError)
    assert results[0][1:] == [1, 0.5]
    assert results[1:] == [[0, 1, 4], [0, 1, 4]]
    (results,) = run(tasks.nested_timeout, [0])
    assert isinstance(results[1], parallel.TaskTimeoutError)


def test_streams_and_outcomes() -> None:
    stream = parallel.imap(tasks.square, iter(range(500)), backend="interpreter", max_workers=2)
    assert list(stream) == [number * number for number in range(500)]
    outcomes = list(parallel.outcomes(tasks.inverse, [0, 1], backend="interpreter"))
    assert [outcome.ok for outcome in outcomes] == [False, True]
    assert outcomes[1].seconds is not None
    with parallel.imap(tasks.square, iter(int, 1), backend="interpreter", max_workers=2) as left:
        assert next(left) == 0


def test_a_pool_keeps_its_interpreters() -> None:
    with parallel.Pool("interpreter", max_workers=1) as pool:
        first = pool.map(tasks.interpreter, [0])
        assert pool.map(tasks.interpreter, [0]) == first
        (error,) = pool.map(tasks.wait_at_one, [1], timeout=0.2)
        assert isinstance(error, parallel.TaskTimeoutError)
        assert pool.map(tasks.square, [3]) == [9]


def test_cancel_and_deadline() -> None:
    (error,) = run(tasks.wait_at_one, [1], deadline=0.5)
    assert isinstance(error, parallel.TaskCancelledError)
    event = threading.Event()
    event.set()
    (error,) = run(tasks.wait_at_one, [1], cancel=event)
    assert isinstance(error, parallel.TaskCancelledError)


def test_nothing_outlives_a_map() -> None:
    run(tasks.square, range(10))
    threads, files = threading.active_count(), set(os.listdir("/proc/self/fd"))
    run(tasks.square, range(10))
    assert threading.active_count() == threads
    assert len(set(os.listdir("/proc/self/fd"))) <= len(files)


def test_a_refused_module_is_named_together_with_the_fix() -> None:
    (error,) = run(tasks.use_refused_module, [1])
    assert isinstance(error, ImportError)
    assert "faulthandler" in str(error)


def run_script(folder: Path, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a script as users do: with a file for `__main__`."""
    path = folder / "script.py"
    path.write_text(textwrap.dedent(code))
    return subprocess.run(
        [sys.executable, "-W", "error", str(path), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_functions_of_a_script_work(tmp_path: Path) -> None:
    ended = run_script(
        tmp_path,
        """
        from metainformant.core import parallel
        print("imported as", __name__)
        def square(number):
            return number * number
        if __name__ == "__main__":
            print(parallel.interpreter_map(len, ["abc"], max_workers=1))
            print(parallel.interpreter_map(square, [1, 2, 3], max_workers=1))
        """,
    )
    # The script is imported only where something of it is needed.
    expected = ["imported as __main__", "[3]", "imported as __mp_main__", "[1, 4, 9]"]
    assert sorted(ended.stdout.splitlines()) == sorted(expected), ended.stderr
    assert ended.stderr == ""


def test_a_script_that_is_not_guarded_is_told_so(tmp_path: Path) -> None:
    ended = run_script(
        tmp_path,
        """
        from metainformant.core import parallel
        def square(number):
            return number * number
        print(parallel.interpreter_map(square, [1, 2, 3], max_workers=1))
        """,
    )
    assert ended.returncode == 1
    assert "if __name__ == '__main__'" in ended.stderr


def test_a_script_whose_imports_are_refused_is_told_so(tmp_path: Path) -> None:
    ended = run_script(
        tmp_path,
        """
        import faulthandler
        from metainformant.core import parallel
        def square(number):
            return number * number
        if __name__ == "__main__":
            print(parallel.interpreter_map(len, ["abc"], max_workers=1))
            try:
                parallel.interpreter_map(square, [1, 2, 3], max_workers=1)
            except parallel.ParallelError as error:
                print(error)
        """,
    )
    first, second = ended.stdout.splitlines()
    assert first == "[3]"
    assert "'faulthandler' can't be imported in a subinterpreter: use process_map" in second


# What is stuck, and the exit status.
STUCK = {
    "time.sleep(60)": 0,
    "wait()": 0,
    "loop()": 0,
    "re.match('(a*)*b', 'a' * 40)": 1,  # keeps the GIL of its interpreter
    "refuse_to_end()": 1,
}


@pytest.mark.parametrize("call", STUCK)
def test_the_interpreter_exits_at_once_with_stuck_calls(tmp_path: Path, call: str) -> None:
    ended = run_script(
        tmp_path,
        f"""
        import atexit, re, sys, threading, time
        def early():
            print("early", flush=True)
        def late():
            print("late", flush=True)
        if __name__ == "__main__":
            atexit.register(early)
        from metainformant.core import parallel
        def wait():
            lock = threading.Lock()
            with lock, lock:
                pass
        def loop():
            while True:
                pass
        def refuse_to_end():
            while True:
                try:
                    loop()
                except BaseException:
                    pass
        def task(_):
            {call}
        if __name__ == "__main__":
            results = parallel.interpreter_map(task, range(4), max_workers=2, timeout=0.3)
            assert [type(error) for error in results] == [parallel.TaskTimeoutError] * 4
            atexit.register(late)
        """,
    )
    assert ended.returncode == STUCK[call], ended.stderr
    assert ended.stdout == "late\nearly\n"
    if ended.returncode:
        assert "can't be ended, so the process exits with status 1" in ended.stderr
    else:
        assert ended.stderr == ""
