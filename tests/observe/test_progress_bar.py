"""`progress`: what a function is told, and what people see."""

from __future__ import annotations

import io
import sys
import threading
from types import ModuleType
from typing import Any

import pytest

from metainformant.core import parallel
from metainformant.core.parallel.calls import choose_workers, make_call
from metainformant.core.parallel.observe import progress_bar as reporting
from metainformant.core.parallel.observe.recording import Recording
from metainformant.core.parallel.observe.registry import make_observers
from metainformant.core.parallel.observe.speed import Speed, time_left
from tests.support import run_python, wait_until


def test_a_function_gets_snapshots_and_the_end() -> None:
    seen: list[parallel.Progress] = []
    attempts: list[int] = []
    half = threading.Event()

    def tell(progress: parallel.Progress) -> None:
        seen.append(progress)
        if progress.done >= 10:
            half.set()

    def task(number: int) -> int:
        if number == 10:
            assert half.wait(30)
        if number == 3:
            raise ValueError
        if number == 4:
            attempts.append(number)
            if len(attempts) == 1:
                raise OSError
        return number

    parallel.thread_map(task, range(20), 2, progress=tell, retries=1, retry_on=OSError, backoff=0)
    assert len(seen) >= 2
    last = seen[-1]
    assert last[:7] == (20, 19, 1, 0, 1, 0, 20)
    assert last.elapsed > 0
    assert [one.done for one in seen] == sorted(one.done for one in seen)
    assert all(one.running <= 2 for one in seen)
    assert any(0 < one.done < 20 for one in seen)


def test_timeouts_are_counted_apart() -> None:
    release = threading.Event()
    seen: list[parallel.Progress] = []
    try:
        parallel.thread_map(
            lambda n: release.wait(60) if n else n, [0, 1], timeout=0.3, progress=seen.append
        )
    finally:
        release.set()
    assert (seen[-1].ok, seen[-1].failed, seen[-1].timed_out) == (1, 1, 1)


def test_streams_know_no_total_but_that_of_lists() -> None:
    seen: list[parallel.Progress] = []
    assert list(parallel.imap(abs, iter(range(5)), progress=seen.append)) == list(range(5))
    assert (seen[-1].done, seen[-1].total) == (5, None)
    assert list(parallel.outcomes(abs, [1, 2], progress=seen.append))
    assert (seen[-1].done, seen[-1].total) == (2, 2)


def test_it_costs_no_more_than_a_few_calls() -> None:
    calls: list[parallel.Progress] = []
    parallel.thread_map(abs, range(200_000), progress=calls.append)
    assert calls[-1].done == 200_000
    assert len(calls) <= 2 + calls[-1].elapsed / 0.1


@pytest.mark.parametrize("how", ["list", "stream"])
def test_the_map_stops_if_the_function_raises(how: str) -> None:
    def tell(progress: parallel.Progress) -> None:
        raise OSError("no display")

    with pytest.raises(OSError, match="no display"):
        list((parallel.thread_map if how == "list" else parallel.imap)(abs, [1], progress=tell))


class TestTheLastReport:
    """It comes also if the map is stopped, and then tells what there was in the end."""

    def seen(self, task: Any, items: Any, **options: Any) -> parallel.Progress:
        seen: list[parallel.Progress] = []
        with pytest.raises((parallel.ParallelError, ZeroDivisionError)):
            parallel.thread_map(task, items, 1, progress=seen.append, **options)
        return seen[-1]

    def test_after_a_deadline(self) -> None:
        release = threading.Event()
        try:
            last = self.seen(
                lambda n: release.wait(60) if n == 3 else n,
                range(9),
                deadline=1,
                on_error="raise",
            )
        finally:
            release.set()
        assert (last.done, last.ok, last.failed, last.running) == (3, 3, 0, 0)

    def test_after_too_many_failures(self) -> None:
        last = self.seen(
            lambda n: 1 / n, [1] * 5 + [0], chunk_size=1, max_failures=0, on_error="raise"
        )
        assert (last.done, last.failed) == (6, 1)

    def test_after_the_first_failure(self) -> None:
        last = self.seen(lambda n: 1 / n, [1] * 5 + [0] * 5, chunk_size=1, on_error="raise")
        assert (last.done, last.failed) == (6, 1)


def test_lines_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    parallel.thread_map(abs, range(1000), progress="k-mers")
    error = capsys.readouterr().err
    assert error.startswith("k-mers: 1,000 of 1,000 (100%) done, ")
    assert error.count("\n") == 1

    monkeypatch.setattr(reporting, "_LINE_EVERY", 0.1)

    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)

    def slow(number: int) -> None:
        wait_until(lambda: written.getvalue().count("\n") >= min(number, 2))
        raise ValueError

    parallel.thread_map(slow, range(5), max_workers=1, progress=True)
    lines = written.getvalue().splitlines()
    assert lines[0].startswith("thread_map: ")
    assert len(lines) >= 3
    assert "5 of 5 (100%) done, 5 failed, " in lines[-1]
    assert "; slowest: item " in lines[-1]
    assert lines[-1].endswith("; failures: 5 x ValueError")


@pytest.mark.parametrize(
    "error", [BrokenPipeError, ValueError]
)  # the other end, or ours, is closed
def test_lines_that_nobody_can_read_stop_nothing(
    monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise error

    monkeypatch.setattr(sys, "stderr", Closed())
    assert parallel.thread_map(abs, [-1], progress=True) == [1]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_bar_of_a_stream_comes_when_that_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    stream = parallel.imap(abs, [1], progress="parsing")
    assert terminal.getvalue() == ""
    assert list(stream) == [1]
    assert "parsing: 100%" in terminal.getvalue()


def test_a_bar_in_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    parallel.thread_map(int, ["1", "x"] * 10, progress="parsing")
    shown = terminal.getvalue().split("\r")[-1]
    assert "parsing: 100%" in shown
    assert "20/20" in shown
    assert "failed=10" in shown
    assert shown.rstrip().endswith("failures: 10 x ValueError")


def test_a_notebook_has_a_bar_though_its_stderr_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    monkeypatch.setitem(sys.modules, "ipykernel", ModuleType("ipykernel"))
    parallel.thread_map(int, ["1", "x"] * 10, progress="parsing")
    # The bar of tqdm.auto; in a kernel with ipywidgets that is a widget.
    assert "parsing: 100%|" in written.getvalue()
    assert written.getvalue().rstrip().endswith("failures: 10 x ValueError")


def test_the_failure_that_ends_a_map_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ZeroDivisionError):
        parallel.thread_map(lambda n: 1 // n, [1, 0], progress=True, on_error="raise")
    assert capsys.readouterr().err.rstrip().endswith("failures: 1 x ZeroDivisionError")


@pytest.mark.parametrize("run", [parallel.thread_map, parallel.process_map])
def test_processor_time_is_measured_for_a_report_alone(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    usages: list[object] = []
    monkeypatch.setattr(Recording, "on_chunk", lambda self, run: usages.append(run.finished.usage))
    run(abs, range(5), max_workers=1, progress=True)
    assert usages
    assert not any(usages)
    del usages[:]
    run(abs, range(5), max_workers=1, progress=True, report=parallel.Report())
    assert usages
    assert all(usages)


def test_nothing_is_recorded_for_a_function_and_once_for_all_others() -> None:
    def recordings(**options: Any) -> int:
        call = make_call("thread_map", abs, choose_workers("thread_map", 1), options)
        observers = make_observers(call, 1)
        for observer in observers:
            observer.on_end(None)
        return sum(isinstance(observer, Recording) for observer in observers)

    assert recordings(progress=print) == 0
    assert recordings(progress=True) == recordings(report=parallel.Report()) == 1
    assert recordings(progress=True, report=parallel.Report(), slow_after=1) == 1


def test_without_tqdm_the_error_says_how_to_get_it() -> None:
    process = run_python(
        """
        import sys
        sys.modules["tqdm"] = None
        from metainformant.core import parallel
        for lazy in (parallel.thread_map, parallel.imap):
            try:
                lazy(abs, [1], progress=True)
            except ImportError as error:
                print(error)
        print(parallel.thread_map(abs, [-1], progress=lambda _: None))
        """
    )
    lines = process.stdout.splitlines()
    assert lines[0].startswith("thread_map: progress=True needs tqdm: pip install")
    assert lines[1].startswith("imap: progress=True needs tqdm: pip install")
    assert lines[2] == "[1]"


def test_false_is_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    options: dict[str, Any] = {"progress": False}
    parallel.thread_map(abs, [1], **options)
    assert capsys.readouterr().err == ""


def test_the_rate_and_the_time_left_follow_the_recent_speed() -> None:
    speed = Speed()
    for second in range(1, 101):
        fast = speed.update(second, second * 100)
    assert fast == pytest.approx(100)
    assert time_left(fast, 10_000, 11_000) == pytest.approx(10)
    for second in range(101, 201):
        slow = speed.update(second, 10_000 + (second - 100))
    assert slow == pytest.approx(1)
    assert time_left(slow, 10_100, 11_000) == pytest.approx(900)
    assert time_left(slow, 11_000, 11_000) == 0


def test_snapshots_have_rate_and_time_left() -> None:
    seen: list[parallel.Progress] = []
    parallel.thread_map(abs, range(1000), progress=seen.append)
    assert seen[-1].rate > 0
    assert seen[-1].eta == 0
    list(parallel.imap(abs, iter([1]), progress=seen.append))
    assert seen[-1].eta is None


class RefusedError(Exception):
    status_code = 429
    headers = {"Retry-After": "3599.5"}  # noqa: RUF012  # as exceptions have it


def refuse(_: object) -> None:
    raise RefusedError


def test_a_pause_that_a_service_asks_for_is_told() -> None:
    seen: list[parallel.Progress] = []
    cancel = threading.Event()

    def watch(progress: parallel.Progress) -> None:
        seen.append(progress)
        if progress.pause:
            cancel.set()

    parallel.thread_map(refuse, [1, 2], cancel=cancel, progress=watch)
    assert 3000 < seen[-1].pause <= 3599.5
    parallel.thread_map(abs, [1], progress=seen.append)
    assert seen[-1].pause == 0


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_pause_is_shown(monkeypatch: pytest.MonkeyPatch, is_terminal: bool) -> None:
    cancel = threading.Event()

    class Watched(io.StringIO):
        def isatty(self) -> bool:
            return is_terminal

        def write(self, text: str) -> int:
            if "paused for 59:" in text:
                cancel.set()
            return super().write(text)

    monkeypatch.setattr(sys, "stderr", Watched())
    monkeypatch.setattr(reporting, "_LINE_EVERY", 0.1)
    (error,) = parallel.thread_map(refuse, [1], cancel=cancel, progress=True, deadline=60)
    assert isinstance(error, parallel.TaskCancelledError)
    assert "cancel was set" in str(error)
