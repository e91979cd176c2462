"""Serial mode: every map runs in the thread of its caller, and means what it always does."""

from __future__ import annotations

import asyncio
import bdb
import contextvars
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from metainformant.core import parallel

from . import tasks


def thread(_: object) -> threading.Thread:
    return threading.current_thread()


def collected(**options: Any) -> list[Any]:
    async def collect() -> list[Any]:
        return [value async for value in parallel.aimap(thread, range(4), **options)]

    return asyncio.run(collect())


MAPS: dict[str, Callable[[], Any]] = {
    "thread_map": lambda: parallel.thread_map(thread, range(4)),
    "thread_map_unordered": lambda: parallel.thread_map_unordered(thread, range(4)),
    "process_map": lambda: parallel.process_map(thread, range(4), 2, start_method="spawn"),
    "process_map_unordered": lambda: parallel.process_map_unordered(thread, range(4)),
    "interpreter_map": lambda: parallel.interpreter_map(thread, range(4)),
    "parallel_batch": lambda: parallel.parallel_batch(lambda b: map(thread, b), range(4), 2),
    "imap": lambda: list(parallel.imap(thread, range(4), backend="process")),
    "outcomes": lambda: [o.value for o in parallel.outcomes(thread, range(4))],
    "aimap": collected,
    "rate_limited_map": lambda: parallel.rate_limited_map(thread, range(4), 10_000),
}


@pytest.mark.parametrize("name", MAPS)
def test_every_map_runs_in_the_callers_thread(name: str) -> None:
    with parallel.serial():
        assert MAPS[name]() == [threading.current_thread()] * 4
    if name not in ("process_map", "process_map_unordered", "imap", "interpreter_map"):
        assert threading.current_thread() not in MAPS[name]()


def test_pools_do_too_whenever_they_were_made() -> None:
    def run(pool: parallel.Pool) -> list[Any]:
        return [
            *pool.map(thread, [1]),
            *pool.imap(thread, [1]),
            *(outcome.value for outcome in pool.outcomes(thread, [1])),
            *pool.batch(lambda batch: map(thread, batch), [1]),
        ]

    here = [threading.current_thread()] * 4
    with parallel.Pool() as before, parallel.Pool("serial") as serial:
        with parallel.serial():
            assert run(before) == here
            within = parallel.Pool()
        with within:
            assert run(serial) == here
            assert threading.current_thread() not in [*run(before), *run(within)]


def test_it_ends_with_its_block_and_holds_in_tasks() -> None:
    def inner(_: object) -> Any:
        return parallel.thread_map(thread, [1])

    with parallel.serial():
        with parallel.serial():
            pass
        assert parallel.thread_map(inner, [1]) == [[threading.current_thread()]]
    assert parallel.thread_map(thread, [1]) != [threading.current_thread()]


def test_the_task_within_a_task_is_told_apart() -> None:
    def inner(_: object) -> tuple[int, float]:
        task = parallel.current_task()
        assert task is not None
        return task.index, task.random.random()

    def outer(_: object) -> Any:
        before = inner(0)
        within = parallel.thread_map(inner, range(3), seed=2)
        return before[0], within, inner(0)

    expected = parallel.thread_map(outer, range(3), seed=1)
    with parallel.serial():
        assert parallel.thread_map(outer, range(3), seed=1) == expected
        assert parallel.current_task() is None


def test_items_run_in_order_and_on_complete_between_them() -> None:
    seen: list[Any] = []
    with parallel.serial():
        parallel.thread_map(
            lambda item: seen.append(("runs", item)),
            range(3),
            chunk_size=1,
            on_complete=lambda index, item, result: seen.append(("told", item)),
        )
    assert seen == [(what, item) for item in range(3) for what in ("runs", "told")]


def test_a_stream_runs_nothing_before_it_is_asked_and_has_no_threads() -> None:
    before = set(threading.enumerate())
    ran: list[int] = []
    with parallel.imap(ran.append, itertools.count(), backend="serial", chunk_size=1) as stream:
        assert ran == []
        next(stream)
        assert ran == [0]
        assert set(threading.enumerate()) == before
    assert ran == [0]


def test_a_stream_reads_no_further_than_its_buffer() -> None:
    read = 0

    def items() -> Any:
        nonlocal read
        while read < 999:
            read += 1
            yield read

    def first_fails(item: int) -> int:
        if item == 1:
            raise ValueError
        return item

    stream = parallel.imap(
        first_fails, items(), backend="serial", buffer_size=10, retries=1, backoff=lambda *_: 0.05
    )
    assert isinstance(next(stream), ValueError)
    assert read <= 11
    assert list(stream) == list(range(2, 1000))


def test_the_input_may_fail() -> None:
    def items() -> Any:
        yield 1
        raise OSError("gone")

    stream = parallel.imap(abs, items(), backend="serial")
    assert next(stream) == 1
    with pytest.raises(OSError, match="gone"):
        next(stream)


def test_a_stream_that_is_stopped_raises() -> None:
    cancel = threading.Event()
    stream = parallel.imap(abs, itertools.count(), backend="serial", cancel=cancel)
    assert next(stream) == 0
    cancel.set()
    with pytest.raises(parallel.TaskCancelledError):
        list(stream)


class TestTimeouts:
    def test_it_is_noted_when_the_call_returns(self) -> None:
        told: list[parallel.Progress] = []
        with parallel.serial():
            first, second, third = parallel.thread_map(
                time.sleep, [0, 0.35, 0], timeout=0.3, chunk_size=3, progress=told.append
            )
        assert (first, third) == (None, None)
        assert isinstance(second, parallel.TaskTimeoutError)
        assert (second.index, second.seconds, second.running) == (1, 0.3, False)
        assert second.returned_after is not None
        assert second.returned_after >= 0.35
        assert str(second) == (
            "item 1 (0.35) ran longer than timeout=0.3 s. The call returned after "
            f"{second.returned_after:.3g} s: in serial mode, that is when a timeout is noted."
        )
        assert told[-1].timed_out == 1

    def test_what_the_call_raised_is_its_cause(self) -> None:
        def fail_late(_: object) -> None:
            time.sleep(0.05)
            raise ValueError("late")

        with parallel.serial():
            (error,) = parallel.thread_map(fail_late, [1], timeout=0.02)
        assert isinstance(error, parallel.TaskTimeoutError)
        assert isinstance(error.__cause__, ValueError)

    def test_nothing_more_is_started_after_it(self) -> None:
        ran: list[float] = []

        def sleep(seconds: float) -> None:
            ran.append(seconds)
            time.sleep(seconds)

        with parallel.serial(), pytest.raises(parallel.TaskTimeoutError):
            parallel.thread_map(sleep, [0.05, 0], timeout=0.02, chunk_size=2, on_error="raise")
        assert ran == [0.05]

    def test_it_is_tried_again(self) -> None:
        attempts: list[int] = []

        def first_is_slow(_: object) -> str:
            attempts.append(1)
            time.sleep(0.35 if len(attempts) == 1 else 0)
            return "done"

        with parallel.serial():
            assert parallel.thread_map(first_is_slow, [1], timeout=0.3, retries=1) == ["done"]


def test_a_deadline_keeps_what_was_finished() -> None:
    with parallel.serial():
        results = parallel.thread_map(time.sleep, [0, 0.5, 0], deadline=0.5, chunk_size=1)
    assert results[:2] == [None, None]
    assert isinstance(results[2], parallel.TaskCancelledError)


def test_a_state_is_made_here_and_closed() -> None:
    events: list[Any] = []

    class State:
        def __init__(self) -> None:
            events.append(threading.current_thread())

        def close(self) -> None:
            events.append(threading.current_thread())

    with parallel.serial():
        parallel.thread_map(lambda item, state: events.append(item), [1, 2], worker_state=State)
        stream = parallel.imap(lambda item, state: None, [1, 2], worker_state=State, chunk_size=1)
    here = threading.current_thread()
    assert events == [here, 1, 2, here]
    next(stream)
    stream.close()
    assert events[4:] == [here, here]


def test_what_tasks_set_in_their_context_the_caller_never_sees() -> None:
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable", default=0)
    with parallel.serial():
        parallel.thread_map(variable.set, [1])
    assert variable.get() == 0


def test_leaving_the_debugger_ends_the_map() -> None:
    ran: list[int] = []

    def quit_at_two(item: int) -> None:
        ran.append(item)
        if item == 2:
            raise bdb.BdbQuit

    with parallel.serial(), pytest.raises(bdb.BdbQuit):
        parallel.thread_map(quit_at_two, range(5))
    assert ran == [0, 1, 2]


def test_pdb_works_in_the_function(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from metainformant.core import parallel\n"
        "def double(item):\n"
        "    breakpoint()\n"
        "    return 2 * item\n"
        "with parallel.serial():\n"
        "    print(parallel.process_map(double, [1, 2]))\n"
    )
    commands = "item = 20\ncontinue\ncontinue\n"
    done = subprocess.run(
        [sys.executable, str(script)],
        input=commands,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "script.py(" in done.stdout
    assert "double()" in done.stdout
    assert done.stdout.rstrip().endswith("[40, 4]")


@pytest.mark.skipif(sys.platform == "win32", reason="sends a signal")
def test_ctrl_c_keeps_the_results() -> None:
    def interrupted(item: int) -> int:
        if item == 2:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(30)
        return item

    with parallel.serial(), pytest.raises(KeyboardInterrupt) as caught:
        parallel.thread_map(interrupted, range(4), chunk_size=4)
    results: Any = caught.value
    assert results.results[:2] == [0, 1]
    assert [type(error) for error in results.results[2:]] == [parallel.TaskCancelledError] * 2


def test_a_checkpoint_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    log = str(tmp_path / "log")
    endless = ((log, number) for number in itertools.count())
    stream = parallel.imap(tasks.noted, endless, backend="serial", checkpoint=path, chunk_size=1)
    assert next(stream) == 0
    stream.close()  # others may have been run, while the first was on its way to the disk
    more = len(tasks.notes(log)) + 5
    items = [(log, number) for number in range(more)]
    again = parallel.imap(tasks.noted, items, backend="serial", checkpoint=path)
    assert list(again) == list(range(more))
    assert list(map(int, tasks.notes(log))) == list(range(more))
