"""Calls that take too long are ended, where CPython allows it, or abandoned."""

from __future__ import annotations

import contextlib
import pickle
import sys
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest

from metainformant.core import parallel
from metainformant.core.parallel import errors
from metainformant.core.parallel.backends.threads.thread_group import ThreadGroup
from metainformant.core.parallel.worker import interrupt
from metainformant.core.parallel.worker.interrupt import Interruptible, pause_after
from tests.support import run_python, wait_for_other_threads, wait_until_ended


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
        results = parallel.thread_map(task, range(3), timeout=0.3)
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
        results = parallel.thread_map(task, range(21), timeout=0.3)
        wait_until_ended(results[20])
        wait_for_other_threads(before)

    def test_a_call_that_cannot_be_ended_is_said_to_run(
        self, release: threading.Event, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def task(_: int) -> None:
            lock = threading.Lock()
            with lock:
                release.wait(60)

        (error,) = parallel.thread_map(task, [0], timeout=0.05)
        assert isinstance(error, parallel.TaskTimeoutError)
        assert error.running
        assert f"The call on {error.worker!r} is being ended" in str(error)
        monkeypatch.setattr(errors, "_ENDING_SECONDS", 0.0)
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

    @pytest.mark.skipif(sys.version_info < (3, 15), reason="needs CPython 3.15")
    @pytest.mark.skipif(sys.platform == "win32", reason="needs directed signals")
    @pytest.mark.parametrize(
        "call",
        [
            "list(parallel.imap(task, [0], timeout=0.1))[0]",
            "list(parallel.outcomes(task, [0], timeout=0.1))[0].error",
            "asyncio.run(collect())[0]",
            "parallel.Pool(max_workers=2).map(task, [0], timeout=0.1)[0]",
            "asyncio.run(asyncio.to_thread(parallel.thread_map, task, [0], timeout=0.1))[0]",
        ],
    )
    def test_blocked_calls_are_ended_in_maps_of_all_kinds(self, call: str) -> None:
        process = run_python(
            f"""
            import asyncio, time
            from metainformant.core import parallel
            def task(_):
                time.sleep(60)
            async def collect():
                return [result async for result in parallel.aimap(task, [0], timeout=0.1)]
            error = {call}
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
        # More than 4 if a busy machine has started the last worker after the first were replaced,
        # but never more than those that may be left and the workers that ran then.
        with pytest.raises(parallel.ParallelError, match=r"\b[4-7] tasks are stuck") as caught:
            parallel.thread_map(
                lambda _: release.wait(60), range(20), 4, timeout=0.05, max_abandoned=3
            )
        assert "max_abandoned" in str(caught.value)
        assert caught.value.results is not None
        assert len(caught.value.results) == 20

    def test_abandoned_threads_are_counted_as_long_as_they_live(
        self, release: threading.Event
    ) -> None:
        group = ThreadGroup(timeout=None)
        threads = [threading.Thread(target=release.wait, args=(60,)) for _ in range(3)]
        for thread in threads:
            thread.start()
            group.abandon(thread)
        assert group.abandoned() == 3
        release.set()
        for thread in threads:
            thread.join(30)
        assert group.abandoned() == 0

    def test_ended_tasks_do_not_count_as_stuck(self) -> None:
        def task(_: int) -> None:
            while True:
                pass

        # A busy machine may need some tenths of a second to end one, while others come to be stuck.
        results = parallel.thread_map(task, range(6), 1, timeout=0.2, max_abandoned=3)
        assert [type(result) for result in results] == [parallel.TaskTimeoutError] * 6


class TestLooking:
    """Calls that can't be ended at once are looked at again."""

    def test_ever_more_rarely_and_for_ever(self) -> None:
        pauses = [pause_after(looks) for looks in range(2000)]
        assert pauses == sorted(pauses)
        assert pauses[0] == pauses[99] == 0.005  # half a second, in which most can be ended
        assert pauses[-1] == 1.0

    def test_a_call_that_has_no_good_moment_is_looked_at_as_long_as_it_runs(self) -> None:
        moments = iter([False] * 1000 + [True])
        call: Any = SimpleNamespace(
            has_ended=False, send=lambda: next(moments), end_programs=lambda: False
        )
        pending = interrupt._Pending(call, is_sent=False)
        looks = 1
        while pending.look(0.0):
            looks += 1
        assert looks == 1001

    def test_not_after_its_end(self) -> None:
        call: Any = SimpleNamespace(has_ended=True)
        assert not interrupt._Pending(call, is_sent=False).look(0.0)

    def test_an_exception_that_was_lost_is_sent_again(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Python ignores exceptions in `__del__` and in callbacks of weak references."""
        lost: list[object] = []
        monkeypatch.setattr(sys, "unraisablehook", lambda info: lost.append(info.exc_type))
        is_in_del = threading.Event()

        class Noisy:
            def __del__(self) -> None:
                is_in_del.set()
                while not lost_once.is_set():
                    pass

        lost_once = threading.Event()

        def task() -> None:
            Noisy()
            while True:
                pass

        def work() -> None:
            with contextlib.suppress(interrupt.TaskEnded):
                task()

        thread = threading.Thread(target=work, daemon=True)
        call = Interruptible(thread)
        thread.start()
        assert is_in_del.wait(30)
        until = time.monotonic() + 30
        while not call.send() and time.monotonic() < until:
            time.sleep(0.001)
        while not call.is_lost and time.monotonic() < until:
            time.sleep(0.001)
        assert lost == [interrupt.TaskEnded]
        while thread.is_alive() and time.monotonic() < until:
            call.is_lost = True  # as before: 3.11 and 3.12 may have had no moment for the second
            call.send_again()
            time.sleep(0.01)
        assert not thread.is_alive()

    def test_the_next_call_starts_the_thread_that_could_not_be_started(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        names: list[str] = []

        def refuse(thread: threading.Thread, caller: str) -> None:
            names.append(caller)
            raise parallel.ParallelError("no more threads")

        monkeypatch.setattr(interrupt, "launch", refuse)
        call: Any = SimpleNamespace(send=lambda: False, end_programs=lambda: False)
        sender = interrupt.Sender()
        sender.end(call)
        sender.end(call)
        assert names == ["end overdue calls"] * 2

    def test_programs_are_killed_before_a_call_that_waits_for_them_wakes(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        done: list[str] = []

        def wake(_ident: int) -> None:
            done.append("wake")
            call.is_over = True  # the exception has ended the call at once

        def kill(known: object = ()) -> bool:
            done.append("kill")
            return True

        monkeypatch.setattr(interrupt, "_takes_exceptions", lambda _: True)
        monkeypatch.setattr(interrupt, "_set_exception", lambda _: True)
        monkeypatch.setattr(interrupt, "_wake", wake)
        programs: Any = SimpleNamespace(running=list, kill=kill)
        call = Interruptible(threading.current_thread(), programs)
        assert call.send()
        interrupt._sent.clear()
        assert done == ["kill", "wake"]
        assert call.end_programs()

    def test_nothing_is_sent_again_after_the_end(self) -> None:
        call = Interruptible(threading.current_thread())
        call.settle()
        call.is_lost = True
        call.send_again()
        time.sleep(0)  # where an exception would arrive
