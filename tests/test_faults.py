"""What goes wrong, and what the map makes of it: endings, stops, limits, and slow items."""

from __future__ import annotations

import gc
import itertools
import logging
import pickle
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from metainformant.core import parallel
from metainformant.core.parallel.backends.threads.thread_group import ThreadGroup
from metainformant.core.parallel.host.gil import HAS_GIL

from .support import run_python, wait_for_other_threads


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """What hung tasks wait for; set at the end, so that their threads end too."""
    event = threading.Event()
    yield event
    event.set()


def wait_until_ended(error: object) -> None:
    assert isinstance(error, parallel.TaskTimeoutError)
    until = time.monotonic() + 30
    while error.running and time.monotonic() < until:
        time.sleep(0.001)
    assert not error.running


class TestEnding:
    """A task that is overdue is ended if CPython allows it, and nothing else ever is."""

    def test_a_busy_loop_is_ended(self) -> None:
        cleaned_up = threading.Event()

        def task(number: int) -> int:
            try:
                while number == 1:
                    time.monotonic()
            finally:
                if number == 1:
                    cleaned_up.set()
            return number

        before = set(threading.enumerate())
        results = parallel.thread_map(task, range(3), timeout=0.1)
        assert (results[0], results[2]) == (0, 2)
        wait_until_ended(results[1])
        if sys.version_info[:2] != (3, 13):  # where the jump back of a loop is outside of its `try`
            assert cleaned_up.is_set()
        assert "The call was ended." in str(results[1])
        wait_for_other_threads(before)

    def test_a_loop_that_only_compares_is_ended_too(self) -> None:
        """CPython 3.11 makes one instruction of the comparison and the jump, once they are hot."""

        def task(number: int) -> int:
            while number == 20:
                pass
            return number

        before = set(threading.enumerate())
        results = parallel.thread_map(task, range(21), timeout=0.1)
        wait_until_ended(results[20])
        wait_for_other_threads(before)

    def test_a_call_that_cannot_be_ended_is_said_to_run(self, release: threading.Event) -> None:
        def task(_: int) -> None:
            lock = threading.Lock()
            with lock:
                release.wait(60)

        (error,) = parallel.thread_map(task, [0], timeout=0.05)
        assert isinstance(error, parallel.TaskTimeoutError)
        assert error.running
        assert f"The call still runs on {error.worker!r}" in str(error)
        copy = pickle.loads(pickle.dumps(error))
        assert copy.running
        assert str(copy) == str(error)
        release.set()
        wait_until_ended(error)
        assert copy.running  # as it was when it was copied

    @pytest.mark.skipif(sys.version_info < (3, 15), reason="needs CPython 3.15")
    @pytest.mark.skipif(sys.platform == "win32", reason="needs directed signals")
    @pytest.mark.parametrize(
        "call",
        [
            "time.sleep(60)",
            "(lambda pair: pair[0].recv(1))(socket.socketpair())",
            "select.select([], [], [], 60)",
            "subprocess.run(['sleep', '60'])",
        ],
    )
    def test_blocked_calls_are_ended_too(self, call: str) -> None:
        process = run_python(
            f"""
            import select, socket, subprocess, threading, time
            from metainformant.core import parallel
            (error,) = parallel.thread_map(lambda _: {call}, [0], timeout=0.1)
            until = time.monotonic() + 10
            while error.running and time.monotonic() < until:
                time.sleep(0.001)
            print(error.running)
            """
        )
        assert (process.stdout, process.stderr) == ("False\n", "")

    def test_a_users_signal_handler_is_never_replaced(self) -> None:
        process = run_python(
            """
            import signal
            from metainformant.core import parallel
            def mine(number, frame): ...
            signal.signal(signal.SIGURG, mine)
            def task(_):
                while True: pass
            parallel.thread_map(task, [0], timeout=0.05)
            print(signal.getsignal(signal.SIGURG) is mine)
            """
        )
        assert process.stdout == "True\n"

    def test_nothing_but_the_overdue_call_is_hit(self) -> None:
        """Tasks that end just as their time is up: each has its own outcome, and none another's."""
        strays: list[object] = []

        def task(number: int) -> int:
            until = time.monotonic() + 0.0495 + (number % 8) / 4000
            while time.monotonic() < until:
                pass
            return number

        hook, threading.excepthook = threading.excepthook, strays.append
        try:
            for _ in range(6):
                results = parallel.thread_map(task, range(24), max_workers=2, timeout=0.05)
                for number, result in enumerate(results):
                    assert result == number or isinstance(result, parallel.TaskTimeoutError)
                    if isinstance(result, parallel.TaskTimeoutError):
                        assert result.index == number
        finally:
            threading.excepthook = hook
        assert strays == []

    def test_a_task_that_catches_everything_goes_on_and_ends_by_itself(self) -> None:
        stop = threading.Event()

        def task(_: int) -> None:
            while not stop.is_set():
                try:
                    while not stop.is_set():
                        pass
                except BaseException:  # what a careless task does
                    pass

        (error,) = parallel.thread_map(task, [0], timeout=0.05)
        assert isinstance(error, parallel.TaskTimeoutError)
        stop.set()
        wait_until_ended(error)

    def test_stuck_tasks_are_capped(self, release: threading.Event) -> None:
        # More than 4 if a busy machine has started the last worker after the first were replaced.
        with pytest.raises(parallel.ParallelError, match=r"[4-9] tasks are stuck") as caught:
            parallel.thread_map(
                lambda _: release.wait(60), range(20), 4, timeout=0.05, max_abandoned=3
            )
        assert "max_abandoned" in str(caught.value)
        assert caught.value.results is not None
        assert len(caught.value.results) == 20

    @pytest.mark.parametrize(("seconds", "stuck"), [(0.2, 1), (60, 3)])
    def test_calls_that_were_given_up_get_a_last_moment_to_end(
        self, seconds: float, stuck: int, release: threading.Event
    ) -> None:
        group = ThreadGroup(timeout=None)
        for wait in (60, seconds, seconds):
            thread = threading.Thread(target=release.wait, args=(wait,), daemon=True)
            thread.start()
            group.abandon(thread)
        assert group.abandoned(3) == 3  # few enough
        assert group.abandoned(1) == stuck

    def test_ended_tasks_do_not_count_as_stuck(self) -> None:
        def task(_: int) -> None:
            while True:
                pass

        # A busy machine may need some tenths of a second to end one, while others come to be stuck.
        results = parallel.thread_map(task, range(6), 1, timeout=0.2, max_abandoned=3)
        assert [type(result) for result in results] == [parallel.TaskTimeoutError] * 6


def fail_below(limit: int) -> object:
    def task(number: int) -> int:
        if number < limit:
            raise ValueError(number)
        return number

    return task


class TestTooManyFailures:
    def test_a_count_that_is_not_exceeded_changes_nothing(self) -> None:
        results = parallel.thread_map(fail_below(3), range(10), max_failures=3)  # type: ignore[call-overload]
        assert [type(result) for result in results[:3]] == [ValueError] * 3
        assert results[3:] == list(range(3, 10))

    def test_a_count_that_is_exceeded_cancels_the_rest(self) -> None:
        results = parallel.thread_map(
            fail_below(10**9), range(10_000), 1, chunk_size=1, max_failures=3
        )  # type: ignore[call-overload]
        kinds = [type(result) for result in results]
        assert kinds[:4] == [ValueError] * 4
        assert kinds[-1] is parallel.TaskCancelledError
        assert len(kinds) == 10_000
        assert "max_failures=3 was exceeded" in results[-1].reason

    def test_it_is_raised_with_the_results_so_far(self) -> None:
        with pytest.raises(parallel.TooManyFailuresError, match="max_failures=0") as caught:
            parallel.thread_map(
                fail_below(1), range(2000), 1, chunk_size=1, max_failures=0, on_error="raise"
            )  # type: ignore[call-overload]
        error = caught.value
        assert (error.failures, error.limit) == (1, 0)
        assert error.results is not None
        assert isinstance(error.results[0], ValueError)
        assert isinstance(error.results[-1], parallel.TaskCancelledError)
        copy = pickle.loads(pickle.dumps(error))
        assert str(copy) == str(error)
        assert len(copy.results) == 2000

    def test_a_fraction_is_judged_after_twenty_items(self) -> None:
        results = parallel.thread_map(fail_below(5), range(100), 1, max_failures=0.5)  # type: ignore[call-overload]
        assert results[5:] == list(range(5, 100))
        results = parallel.thread_map(
            fail_below(10**9), range(10_000), 1, chunk_size=1, max_failures=0.5
        )  # type: ignore[call-overload]
        failed = sum(isinstance(result, ValueError) for result in results)
        assert 20 <= failed < 10_000
        assert isinstance(results[-1], parallel.TaskCancelledError)

    def test_timeouts_count_as_failures(self, release: threading.Event) -> None:
        results = parallel.thread_map(
            lambda _: release.wait(60), range(50), 2, timeout=0.05, max_failures=2
        )
        assert isinstance(results[0], parallel.TaskTimeoutError)
        assert isinstance(results[-1], parallel.TaskCancelledError)

    @pytest.mark.parametrize("value", [-1, 0.0, 1.0, 1.5, float("nan")])
    def test_wrong_values(self, value: float) -> None:
        with pytest.raises(ValueError, match=r"max_failures=.* must be a count"):
            parallel.thread_map(abs, [1], max_failures=value)

    @pytest.mark.parametrize("value", ["3", True])
    def test_wrong_types(self, value: object) -> None:
        with pytest.raises(TypeError, match=r"max_failures=.* must be a count"):
            parallel.thread_map(abs, [1], max_failures=value)  # type: ignore[call-overload]


class TestIncompleteListsRaise:
    """Where unfinished items have no slot of their own, as where they have one and are to raise."""

    def stopped(self, release: threading.Event, **options: Any) -> parallel.ParallelError:
        def task(number: int) -> int:
            if number == 2:
                raise ValueError(number)
            if number == 4:
                release.wait(60)
            return number

        with pytest.raises(parallel.ParallelError) as caught:
            parallel.thread_map(task, range(6), 1, chunk_size=1, **options)
        return caught.value

    def test_a_deadline(self, release: threading.Event) -> None:
        error = self.stopped(release, on_error="skip", deadline=0.3)
        assert isinstance(error, parallel.TaskCancelledError)
        assert (error.index, error.started) == (4, True)
        assert error.results == [0, 1, 3]

    def test_cancel(self, release: threading.Event) -> None:
        cancel = threading.Event()
        cancel.set()
        error = self.stopped(release, on_error="skip", cancel=cancel)
        assert isinstance(error, parallel.TaskCancelledError)
        assert error.results is not None

    def test_too_many_failures(self, release: threading.Event) -> None:
        error = self.stopped(release, on_error="skip", max_failures=0)
        assert isinstance(error, parallel.TooManyFailuresError)
        assert error.results in ([0, 1], [0, 1, 3])

    def test_a_map_that_was_complete_does_not_raise(self) -> None:
        cancel = threading.Event()

        def task(number: int) -> int:
            if number == 5:
                cancel.set()
            return number

        results = parallel.thread_map(task, range(6), 1, on_error="skip", cancel=cancel)
        assert results == list(range(6))

    def test_batches_have_their_failures_in_the_results(self) -> None:
        def task(batch: list[int]) -> list[int]:
            if batch[0] == 2:
                raise ValueError(batch)
            return batch

        with pytest.raises(parallel.TooManyFailuresError) as caught:
            parallel.parallel_batch(
                task, range(5000), 2, 1, chunk_size=1, max_failures=0, on_error="raise"
            )
        results = caught.value.results
        assert results is not None
        assert len(results) == 5000
        assert results[:2] == [0, 1]
        assert [type(result) for result in results[2:4]] == [ValueError] * 2


def test_a_deadline_is_raised_with_the_results_so_far(release: threading.Event) -> None:
    def task(number: int) -> int:
        if number == 3:
            release.wait(60)
        return number

    with pytest.raises(parallel.TaskCancelledError) as caught:
        parallel.thread_map(task, range(6), 1, deadline=0.2, on_error="raise")
    error = caught.value
    assert (error.index, error.started) == (3, True)
    assert error.results is not None
    assert error.results[:3] == [0, 1, 2]
    assert [type(result) for result in error.results[3:]] == [parallel.TaskCancelledError] * 3


class TestCurrentTask:
    def test_it_knows_index_and_attempt(self) -> None:
        def task(_: str) -> tuple[int, int, float | None]:
            current = parallel.current_task()
            assert current is not None
            return current.index, current.attempt, current.seconds_left

        expected = [(index, 1, None) for index in range(1000)]
        assert parallel.thread_map(task, "x" * 1000, on_error="raise") == expected

    def test_there_is_none_outside(self) -> None:
        assert parallel.current_task() is None

    def test_nested_maps_have_their_own(self) -> None:
        def inner(_: int) -> int:
            current = parallel.current_task()
            assert current is not None
            return current.index

        def outer(_: int) -> tuple[int, list[int]]:
            indices = parallel.thread_map(inner, range(3), on_error="raise")
            return inner(0), indices

        expected = [(index, [0, 1, 2]) for index in range(4)]
        assert parallel.thread_map(outer, range(4), on_error="raise") == expected

    def test_it_knows_the_time_left(self) -> None:
        def task(_: int) -> tuple[float, float]:
            current = parallel.current_task()
            time.sleep(0.15)
            later = parallel.current_task()
            assert current is not None
            assert later is not None
            assert current.seconds_left is not None
            assert later.seconds_left is not None
            return current.seconds_left, later.seconds_left

        for first, later in parallel.thread_map(task, range(3), 1, timeout=60, on_error="raise"):
            assert 59 < first <= 60
            assert later < first

    def test_it_learns_that_nobody_waits(self, release: threading.Event) -> None:
        seen: list[bool] = []

        def task(_: int) -> None:
            current = parallel.current_task()
            assert current is not None
            seen.append(current.cancelled())
            try:
                release.wait(60)
            finally:
                seen.append(current.cancelled())

        (error,) = parallel.thread_map(task, [0], timeout=0.05)
        release.set()
        wait_until_ended(error)
        assert seen == [False, True]


class TestSlowItems:
    def test_each_slow_item_is_logged_once_with_its_stack(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        def dawdle(number: int) -> int:
            time.sleep(0.3 if number in (2, 5) else 0)
            return number

        results = parallel.thread_map(dawdle, range(8), max_workers=2, slow_after=0.05)
        assert results == list(range(8))
        records = [r for r in caplog.records if r.name == "metainformant.parallel"]
        told = [record.getMessage().split(" has been")[0] for record in records]
        assert sorted(told) == ["thread_map: item 2 (2)", "thread_map: item 5 (5)"]
        assert all(record.levelno == logging.WARNING for record in records)
        assert "thread_map: item 2 (2) has been running for 0.0" in caplog.text
        if HAS_GIL:
            assert "in dawdle" in caplog.text

    def test_nothing_is_printed_where_logging_is_not_set_up(self) -> None:
        process = run_python(
            """
            import time
            from metainformant.core import parallel
            parallel.thread_map(time.sleep, [0.2], slow_after=0.05)
            """
        )
        assert (process.stdout, process.stderr) == ("", "")


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
            times = []
            def strike():
                times.append(time.monotonic())
                os.kill(os.getpid(), signal.SIGINT)
            def reading():
                for number in itertools.count():
                    if number == 500:
                        threading.Timer(0.05, strike).start()
                    if number > 500:
                        time.sleep(0.01)
                    yield number
            try:
                if where == "while reading":
                    for _ in parallel.outcomes(abs, reading()):
                        pass
                elif where == "while waiting":
                    threading.Timer(0.2, strike).start()
                    parallel.thread_map(hang.wait, [60])
                elif where == "while delivering":
                    threading.Timer(0.2, strike).start()
                    for _ in parallel.outcomes(abs, itertools.count()):
                        pass
                else:
                    threading.Timer(0.5, strike).start()
                    parallel.thread_map(lambda _: hang.wait(), range(900), 100, timeout=0.2)
            except KeyboardInterrupt:
                print(time.monotonic() - times[0] < 1.5)
            """
        )
        assert (process.stdout, process.stderr, process.returncode) == ("True\n", "", 0)

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

    @pytest.mark.parametrize("how", ["thread_map", "imap"])
    def test_a_map_in_a_finaliser_at_exit_never_hangs(self, how: str) -> None:
        process = run_python(
            f"""
            from metainformant.core import parallel
            from metainformant.core.parallel import {how}
            class Late:
                def __init__(self):
                    self.map, self.error_type, self.say = {how}, parallel.ParallelError, print
                def __del__(self):
                    try:
                        list(self.map(abs, [-1, -2]))
                    except self.error_type as error:
                        self.say("can't start a" in str(error))
            list({how}(abs, [-1]))  # brings in all that is imported only when it is needed
            late = Late()
            """
        )
        assert (process.stdout, process.stderr, process.returncode) == ("True\n", "", 0)

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


class TestFewThreads:
    """A system that refuses some threads or all."""

    def refuse(self, monkeypatch: pytest.MonkeyPatch, allowed: set[int]) -> None:
        start, numbers = threading.Thread.start, itertools.count(1)

        def limited(thread: threading.Thread) -> None:
            if thread.name.startswith("thread_map") and next(numbers) not in allowed:
                raise RuntimeError("can't start new thread")
            start(thread)

        monkeypatch.setattr(threading.Thread, "start", limited)

    @pytest.mark.parametrize("allowed", [{1}, {1, 2}, {1, 3}, {2, 3}, {1, 2, 4, 5, 6}])
    def test_the_map_goes_on_with_what_it_gets(
        self, monkeypatch: pytest.MonkeyPatch, allowed: set[int]
    ) -> None:
        self.refuse(monkeypatch, allowed)
        if 1 in allowed:
            assert parallel.thread_map(abs, range(-50, 0), 4) == list(range(50, 0, -1))
        else:
            with pytest.raises(parallel.ParallelError, match="can't start"):
                parallel.thread_map(abs, range(-50, 0), 4)

    @pytest.mark.parametrize("which", ["reader", "imap driver", "imap-1"])
    def test_a_stream_says_so_and_leaves_nothing_behind(
        self, monkeypatch: pytest.MonkeyPatch, which: str
    ) -> None:
        start = threading.Thread.start
        before = set(threading.enumerate())

        def limited(thread: threading.Thread) -> None:
            if thread.name == which:
                raise RuntimeError("can't start new thread")
            start(thread)

        monkeypatch.setattr(threading.Thread, "start", limited)
        with pytest.raises(parallel.ParallelError, match="imap can't start another thread"):
            list(parallel.imap(abs, itertools.count(), max_workers=1))
        wait_for_other_threads(before)

    def test_stuck_tasks_leave_the_last_worker_to_the_others(
        self, monkeypatch: pytest.MonkeyPatch, release: threading.Event
    ) -> None:
        self.refuse(monkeypatch, {1, 2, 4, 5})
        results = parallel.thread_map(
            lambda number: release.wait(60) if number < 2 else number, range(3), 3, timeout=0.1
        )
        assert results[2] == 2
        assert all(isinstance(result, parallel.TaskTimeoutError) for result in results[:2])

    def test_no_worker_at_all_keeps_what_there_is(
        self, monkeypatch: pytest.MonkeyPatch, release: threading.Event
    ) -> None:
        self.refuse(monkeypatch, {1})
        with pytest.raises(parallel.ParallelError, match="can't start another thread") as caught:
            parallel.thread_map(
                lambda number: release.wait(60) if number == 1 else number, range(3), 1, timeout=0.1
            )
        assert caught.value.results is not None
        assert caught.value.results[0] == 0
        assert isinstance(caught.value.results[2], parallel.TaskCancelledError)


class TestOddTasks:
    def test_an_exception_that_refuses_attributes(self) -> None:
        class FrozenError(Exception):
            def __setattr__(self, name: str, value: object) -> None:
                raise AttributeError(name)

        def task(number: int) -> int:
            if number == 1:
                raise FrozenError
            return number

        results = parallel.thread_map(task, range(3))
        assert [type(result) for result in results] == [int, FrozenError, int]

    def test_legal_but_enormous_limits(self) -> None:
        assert parallel.thread_map(abs, [-1], timeout=1e300, deadline=1e300) == [1]

    def test_the_input_is_iterated_over_once(self) -> None:
        class Once:
            iterations = 0

            def __iter__(self) -> Iterator[int]:
                Once.iterations += 1
                return iter(range(3))

        assert parallel.thread_map(abs, Once()) == [0, 1, 2]
        assert Once.iterations == 1

    def test_exceptions_that_cannot_be_shown(self) -> None:
        class HiddenError(Exception):
            __slots__ = ()

            def __str__(self) -> str:
                raise RuntimeError("no")

            __repr__ = __str__

        def task(_: int) -> None:
            raise HiddenError

        results = parallel.thread_map(task, range(3), max_failures=5)
        assert [type(result) for result in results] == [HiddenError] * 3

    def test_tasks_may_start_threads_and_drop_the_input(self) -> None:
        items: list[int] | None = list(range(50))

        def task(number: int) -> int:
            nonlocal items
            items = None
            thread = threading.Thread(target=gc.collect)
            thread.start()
            thread.join()
            return number

        assert parallel.thread_map(task, items or [], 4) == list(range(50))

    def test_ten_levels_deep(self) -> None:
        def deep(level: int) -> int:
            if level == 0:
                return 0
            return 1 + sum(parallel.thread_map(deep, [level - 1], on_error="raise"))

        assert parallel.thread_map(deep, [10] * 4) == [10] * 4
