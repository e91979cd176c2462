"""Maps in the workers of an executor that somebody else owns: the same meaning."""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import pickle
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import pytest

from metainformant.core import parallel
from metainformant.core.parallel.backends.futures.backend import ExecutorBackend
from metainformant.core.parallel.backends.futures.job import ExecutorJob
from metainformant.core.parallel.backends.futures.messages import ChunkRequest
from metainformant.core.parallel.backends.futures.worker import run_request
from metainformant.core.parallel.calls import choose_workers, make_call
from metainformant.core.parallel.engine.assignment import Assignment
from metainformant.core.parallel.engine.backend import Finished
from metainformant.core.parallel.engine.source import Chunk
from metainformant.core.parallel.host.gil import HAS_GIL
from tests.backends.futures import tasks
from tests.backends.table import IDENTITY, KINDS
from tests.support import run_python


class Inline(Executor):
    """Runs everything in `submit`, as some do for debugging."""

    def __init__(self) -> None:
        self.is_shut_down = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self.is_shut_down = True


MAKERS: dict[str, Callable[[], Executor]] = {
    **{kind.name: kind.make_executor for kind in KINDS if kind.make_executor is not None},
    "inline": Inline,
}
COPYING = {kind.name for kind in KINDS if IDENTITY in kind.cannot}


@pytest.fixture(scope="module", params=MAKERS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def executor(name: str) -> Iterator[Executor]:
    with MAKERS[name]() as made:
        yield made


def run(executor: Executor, func: Callable[..., Any], items: Any, **options: Any) -> list[Any]:
    return list(parallel.imap(func, items, backend=executor, **options))


def test_results_are_in_order(executor: Executor) -> None:
    assert run(executor, tasks.square, range(5000)) == [number**2 for number in range(5000)]
    assert sorted(run(executor, tasks.square, range(50), ordered=False, chunk_size=3)) == [
        number**2 for number in range(50)
    ]


def test_the_executor_is_not_shut_down(executor: Executor) -> None:
    run(executor, tasks.square, [1])
    assert executor.submit(tasks.square, 3).result() == 9
    assert not getattr(executor, "is_shut_down", False)


def test_failures_are_values_with_one_note_and_origin(executor: Executor, name: str) -> None:
    for options in ({}, {"timeout": 60}):
        zero, one = run(executor, tasks.inverse, [0, 1], **options)
        assert one == 1
        assert isinstance(zero, ZeroDivisionError)
        assert zero.__notes__ == ["item 0 (0), attempt 1"]
        if name in COPYING:
            assert "in inverse" in str(zero.__cause__)


def test_raise_stops_within_the_chunk(executor: Executor) -> None:
    for options in ({}, {"timeout": 60}):
        with pytest.raises(ZeroDivisionError):
            run(executor, tasks.inverse, [1, 0, 1], chunk_size=3, on_error="raise", **options)
        assert run(executor, tasks.inverse, [1, 0], on_error="skip", **options) == [1]
        with pytest.raises(SystemExit):
            run(executor, tasks.leave, [1], **options)


@pytest.mark.parametrize("fatal", [False, True])
def test_nothing_is_handed_over_once_a_failure_ends_the_map(fatal: bool) -> None:
    runs: list[int] = []

    def fail(number: int) -> None:
        runs.append(number)
        raise SystemExit if fatal else ValueError

    options = {"on_error": "return" if fatal else "raise"}
    executor = Inline()
    call = make_call("imap", fail, choose_workers("imap", 1, executor), options)
    backend = ExecutorBackend(call, executor, run_request)
    backend.spawn()
    failing, waiting = (backend.submit(Chunk([0, 1], 0, at, at + 1)) for at in range(2))
    assert backend.wait(0) == [failing]  # the engine does not know yet how it ended
    assert runs == [0]
    assert not waiting.is_ended


@pytest.mark.parametrize("timed", [False, True])
def test_a_timeout_is_for_one_item_of_a_chunk(executor: Executor, name: str, timed: bool) -> None:
    items = [(number, number == 2) for number in range(6)]
    options: dict[str, Any] = {"max_workers": 1, "chunk_size": 6, "timeout": 0.5}
    if timed:
        found = list(parallel.outcomes(tasks.loop_if, items, backend=executor, **options))
        results = [outcome.error or outcome.value for outcome in found]
        assert [outcome.index for outcome in found if (outcome.seconds or 0) >= 0.4] == [2]
    else:
        results = run(executor, tasks.loop_if, items, **options)
    assert [*results[:2], *results[3:]] == [0, 1, 3, 4, 5]
    error = results[2]
    assert isinstance(error, parallel.TaskTimeoutError)
    assert (error.index, error.item) == (2, "(2, True)")
    if name in COPYING and "Interpreter" not in name:
        assert not error.worker.startswith(("imap", "outcomes"))  # a thread of another process
    if HAS_GIL:
        assert "in loop_if" in error.stack


def test_an_item_that_is_seen_late_to_hang_costs_the_one_before_no_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The machine may be so busy that the watch gets its turn only after a while."""
    look, starts = Assignment.look, list[float]()

    def look_late(assignment: Assignment, now: float) -> None:
        if assignment.chunk.start or not starts or now >= starts[-1] + 0.3:
            look(assignment, now)

    def hang(item: int) -> int:
        if item == 1:
            starts.append(time.monotonic())
            while True:
                time.sleep(0.001)
        return item

    monkeypatch.setattr(Assignment, "look", look_late)
    before = time.monotonic()
    request = ChunkRequest("imap", hang, [0, 1, 2], 0, 1, 0.2, None, timed=True, fail_fast=False)
    result = run_request(request)
    assert isinstance(result.failed[1], parallel.TaskTimeoutError)
    assert [*map(result.values.__getitem__, (0, 2))] == [0, 2]
    # Since the request was begun, which was a little later than `before`.
    assert result.times[1] <= starts[0] - before
    assert result.times[2] - result.times[1] >= 0.5


def test_retries_tell_tasks_their_attempt(executor: Executor) -> None:
    for options in ({}, {"timeout": 60}):
        found = run(executor, tasks.attempt, range(3), retries=2, backoff=0, **options)
        assert found == [(0, 3), (1, 3), (2, 3)]


def test_what_cannot_travel_costs_only_its_slot(executor: Executor, name: str) -> None:
    lock, unreadable, one = run(
        executor, tasks.same, [threading.Lock(), tasks.Unreadable(), 1], chunk_size=3
    )
    assert one == 1
    if name in COPYING:
        assert "can't be pickled" in str(lock)
        assert "the item can't be read in a worker: ValueError: unreadable" in str(unreadable)
        (result,) = run(executor, tasks.lock, [1])
        assert "the result 'lock' can't be pickled" in str(result)
        (result,) = run(executor, tasks.unreadable, [1])
        assert "the result can't be read: ValueError: unreadable" in str(result)
    (stubborn,) = run(executor, tasks.stubborn, [1])
    assert "stubborn" in str(stubborn)


def test_a_function_that_cannot_travel_stops_the_map(executor: Executor, name: str) -> None:
    lock = threading.Lock()

    def closed(_: Any) -> Any:
        return lock

    if name not in COPYING:
        assert run(executor, closed, [1]) == [lock]
        return
    with pytest.raises(parallel.ParallelError, match=r"^imap: func=.* can't be pickled"):
        run(executor, closed, range(10))


def test_outcomes_have_times_and_workers(executor: Executor) -> None:
    for timeout in (None, 60):
        first, second = parallel.outcomes(tasks.inverse, [0, 1], backend=executor, timeout=timeout)
        assert (first.ok, second.ok) == (False, True)
        assert first.seconds is not None
        assert second.seconds is not None
        assert 0 <= second.seconds < 30
        assert second.worker


def test_maps_nest_and_take_lazy_input(executor: Executor) -> None:
    assert run(executor, tasks.nested, iter([2, 3])) == [[0, 1], [0, 1, 4]]
    with parallel.imap(tasks.square, iter(int, 1), backend=executor) as endless:
        assert next(endless) == 0


def test_pools_and_asyncio_take_them_too(executor: Executor) -> None:
    with parallel.Pool(executor) as pool:
        assert pool.map(tasks.square, [1, 2]) == [1, 4]
    assert executor.submit(tasks.square, 3).result() == 9

    async def main() -> list[Any]:
        return [value async for value in parallel.aimap(tasks.square, [1, 2], backend=executor)]

    assert asyncio.run(main()) == [1, 4]


def test_cancel_takes_back_what_does_not_run() -> None:
    gate, cancel = threading.Event(), threading.Event()

    def wait(number: int) -> int:
        cancel.set()
        gate.wait(30)
        return number

    with ThreadPoolExecutor(1) as executor:
        pool = parallel.Pool(executor, max_workers=4)
        found: list[Any] = pool.map(wait, range(4), cancel=cancel, chunk_size=1)
        gate.set()
    assert all(isinstance(error, parallel.TaskCancelledError) for error in found)
    assert [error.started for error in found] == [True, False, False, False]


def test_idle_workers_take_what_waits_in_the_executor() -> None:
    """A chunk whose future has not begun is cut, and its parts go to whoever is free."""
    gate, handed_over = threading.Event(), threading.Semaphore(0)
    sizes: list[int] = []
    results: list[Any] = []

    class Counting(ThreadPoolExecutor):
        def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
            if fn != gate.wait:
                sizes.append(len(args[0].items))
                handed_over.release()
            return super().submit(fn, *args, **kwargs)

    with Counting(1) as executor:
        executor.submit(gate.wait, 30)
        pool = parallel.Pool(executor, max_workers=2)
        caller = threading.Thread(
            target=lambda: results.extend(pool.map(tasks.square, range(8), chunk_size=8))
        )
        caller.start()
        for _ in range(3):  # all of it, and then in two parts
            assert handed_over.acquire(timeout=30)
        gate.set()
        caller.join(30)
    assert results == [number**2 for number in range(8)]
    assert sizes[:3] in ([8, 4, 4], [8, 5, 3])


def test_a_future_that_somebody_else_cancels_is_done_again() -> None:
    class Fickle(ThreadPoolExecutor):
        cancelled = 0

        def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
            if self.cancelled < 3:
                self.cancelled += 1
                future: Future[Any] = Future()
                future.cancel()
                return future
            return super().submit(fn, *args, **kwargs)

    with Fickle(1) as executor:
        assert run(executor, tasks.square, range(10)) == [number**2 for number in range(10)]


def test_what_a_script_defines_goes_by_value_where_workers_lack_it() -> None:
    script = run_python(
        """
        import loky
        from metainformant.core import parallel
        class Pair:
            def __init__(self, number):
                self.numbers = number, number
        def make(pair):
            return Pair(sum(pair.numbers))
        if __name__ == "__main__":
            with loky.ProcessPoolExecutor(2) as executor:
                given = map(Pair, range(10))
                pairs = parallel.imap(make, given, backend=executor, on_error="raise")
                print([pair.numbers[0] for pair in pairs if isinstance(pair, Pair)])
        """
    )
    assert (script.stdout, script.stderr) == (f"{list(range(0, 20, 2))}\n", "")


def test_a_broken_executor_costs_its_chunks_and_then_stops_the_map() -> None:
    processes = MAKERS["ProcessPoolExecutor"]
    with processes() as executor, pytest.raises(parallel.ParallelError) as caught:
        run(executor, tasks.die, itertools.count(), chunk_size=2)
    assert "takes no more work: BrokenProcessPool" in str(caught.value)
    with processes() as executor:
        results = run(executor, tasks.die, [0, 1], chunk_size=1)
    lost = [error for error in results if isinstance(error, parallel.ParallelError)]
    assert isinstance(results[1], parallel.ParallelError)
    assert all(isinstance(error.__cause__, BrokenProcessPool) for error in lost)
    assert "item 1 (1) was lost together with its chunk" in str(results[1])


def test_an_executor_that_was_shut_down_is_named() -> None:
    executor = ThreadPoolExecutor(1)
    executor.shutdown()
    with pytest.raises(parallel.ParallelError, match="neither broken nor shut down") as caught:
        run(executor, tasks.square, range(3))
    assert "ThreadPoolExecutor" in str(caught.value)
    with pytest.raises(parallel.ParallelError) as caught:
        parallel.Pool(executor).map(tasks.square, range(3))
    results = caught.value.results
    assert results is not None
    assert all(isinstance(error, parallel.TaskCancelledError) for error in results)


def test_calls_left_behind_are_counted() -> None:
    executor = ThreadPoolExecutor(2)
    with executor, pytest.raises(parallel.ParallelError, match="max_abandoned=2"):
        run(executor, tasks.wait_at_one, [1] * 20, timeout=0.1, max_abandoned=2)


def test_tasks_in_threads_keep_what_the_executor_gave_them() -> None:
    word = contextvars.ContextVar("word", default="none")
    here = threading.local()

    def prepare() -> None:
        here.word = "prepared"
        word.set("set")

    def look(_: object) -> tuple[str, str]:
        return here.word, word.get()

    with ThreadPoolExecutor(1, initializer=prepare) as executor:
        assert run(executor, look, [1]) == [("prepared", "set")]


def test_wrong_arguments() -> None:
    with ThreadPoolExecutor(3) as executor:
        for option, value in [("initializer", print), ("worker_state", dict)]:
            with pytest.raises(TypeError, match=f"imap: {option} is for workers that are started"):
                parallel.imap(tasks.square, [1], backend=executor, **{option: value})  # type: ignore[call-overload]
        with pytest.raises(TypeError, match="start_method is an option for processes"):
            parallel.imap(tasks.square, [1], backend=executor, start_method="spawn")
    with pytest.raises(ValueError, match=r"a concurrent\.futures\.Executor, or a"):
        parallel.imap(tasks.square, [1], backend=ThreadPoolExecutor)


def test_ctrl_c_gets_through() -> None:
    ended = run_python(
        """
        import os, signal, threading, time
        from concurrent.futures import ThreadPoolExecutor
        from metainformant.core import parallel

        executor = ThreadPoolExecutor(2)
        # An interrupt while the executor starts a thread makes it hang at exit.
        barrier = threading.Barrier(2)
        list(executor.map(lambda _: barrier.wait(), range(2)))
        gate = threading.Event()

        def hang(number):
            if number == 0:
                interrupted.append(time.monotonic())
                os.kill(os.getpid(), signal.SIGINT)
            gate.wait()

        interrupted = []
        try:
            parallel.Pool(executor).map(hang, range(4), timeout=60)
        except KeyboardInterrupt:
            print(time.monotonic() - interrupted[0] < 1)
        gate.set()
        """
    )
    assert ended.stdout == "True\n", ended.stderr


class Untold(Executor):
    """Runs calls in threads, and never says so: a future is pending until it is done, and can be
    cancelled while its call runs. As Dask's are.
    """

    def __init__(self, workers: int) -> None:
        self._pool = ThreadPoolExecutor(workers)
        self._max_workers = workers

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()

        def run() -> None:
            result = fn(*args, **kwargs)
            if future.set_running_or_notify_cancel():
                future.set_result(result)

        self._pool.submit(run)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self._pool.shutdown(wait, cancel_futures=cancel_futures)


def test_an_executor_that_never_tells_what_runs_runs_nothing_twice() -> None:
    lock, runs = threading.Lock(), [0] * 400
    slow = threading.Event()

    def task(item: int) -> int:
        with lock:
            runs[item] += 1
        slow.wait(0.002)
        return item

    with Untold(4) as executor:
        for _ in range(3):
            assert list(parallel.imap(task, range(400), backend=executor)) == list(range(400))
    assert runs == [3] * 400


def test_what_such_an_executor_has_counts_as_started_at_a_deadline() -> None:
    release = threading.Event()
    with Untold(2) as executor:
        stream = parallel.outcomes(
            lambda _: release.wait(30), range(2), backend=executor, deadline=1, chunk_size=1
        )
        first, second = next(stream), next(stream)
        with pytest.raises(parallel.TaskCancelledError):
            next(stream)
        release.set()
    for outcome in (first, second):
        assert isinstance(outcome.error, parallel.TaskCancelledError)
        assert outcome.error.started


class Elsewhere(Executor):
    """Runs each call in an interpreter that has nothing but the standard library."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        code = """
            import pickle, sys
            try:
                func, args = pickle.load(sys.stdin.buffer)
                outcome = None, func(*args)
            except BaseException as error:
                outcome = error, None
            pickle.dump(outcome, sys.stdout.buffer)
        """
        process = subprocess.run(
            [sys.executable, "-I", "-S", "-c", textwrap.dedent(code)],
            input=pickle.dumps((fn, args)),
            stdout=subprocess.PIPE,
            check=True,
        )
        error, result = pickle.loads(process.stdout)
        future: Future[Any] = Future()
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)
        return future


def test_a_worker_that_lacks_this_package_is_named_at_once() -> None:
    with pytest.raises(
        parallel.ParallelError, match="has a worker that can't import metainformant"
    ):
        list(parallel.imap(abs, range(3), backend=Elsewhere(), max_workers=1))


def test_equal_chunks_are_different_calls() -> None:
    """An executor that takes equal calls for one would hand out results of other maps."""
    seen: list[bytes] = []

    class Pickling(Inline):
        def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
            seen.append(pickle.dumps((fn, args)))
            return super().submit(*pickle.loads(seen[-1])[:1], *pickle.loads(seen[-1])[1])

    executor = Pickling()
    for _ in range(2):
        assert list(parallel.imap(abs, [-1, -1], backend=executor, chunk_size=1)) == [1, 1]
    assert len(set(seen)) == 4


def test_a_chunk_that_has_ended_can_be_looked_at() -> None:
    job = ExecutorJob([1, 2], 0, 1, "executor", lambda _: None, tells_running=True)
    assert job.peek(0).values == []
    job.end(Finished(["one", "two"], {}))
    assert job.peek(job.completed()).values == ["one", "two"]
