"""`report=` on every map: what is in it, and when it is written."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from metainformant.core import parallel
from metainformant.core.parallel.host.gil import HAS_GIL


async def double_later(number: int) -> int:
    return 2 * number


def double(number: int) -> int:
    return 2 * number


MAPS: dict[str, Callable[..., Any]] = {
    "thread_map": parallel.thread_map,
    "thread_map_unordered": parallel.thread_map_unordered,
    "process_map": parallel.process_map,
    "imap": lambda *args, **options: list(parallel.imap(*args, **options)),
    "outcomes": lambda *args, **options: list(parallel.outcomes(*args, **options)),
    "async_map": parallel.async_map,
    "Pool.map": lambda *args, **options: parallel.Pool().map(*args, **options),
}


@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize("serial", [False, True], ids=["parallel", "serial"])
def test_every_map_takes_a_report(name: str, serial: bool) -> None:
    report = parallel.Report()
    func: Callable[[int], Any] = double_later if name == "async_map" else double
    with parallel.serial() if serial else nullcontext():
        MAPS[name](func, range(300), report=report)
    (run,) = report.data["runs"]
    assert run["caller"] == name
    assert run["ending"] == "completed"
    assert run["counts"]["ok"] == run["counts"]["attempts"] == 300
    assert run["durations"]["count"] == 300
    parts = run["time"]["parts"]
    assert sum(parts.values()) == pytest.approx(run["time"]["worker_seconds"], rel=0.02)
    assert json.loads(json.dumps(run)) == run
    assert run["elapsed"] >= 0.5 or "too little" in str(report.limit)


def test_batches_are_the_items_of_a_report() -> None:
    report = parallel.Report()
    parallel.parallel_batch(sorted, range(95), 10, report=report)
    assert report.data["runs"][0]["counts"]["ok"] == 10


def test_one_report_has_several_runs() -> None:
    report = parallel.Report()
    for _ in range(3):
        parallel.thread_map(double, range(5), report=report)
    assert [run["counts"]["ok"] for run in report.data["runs"]] == [5, 5, 5]


@pytest.mark.parametrize("ending", ["html", "json"])
def test_a_path_is_written_at_the_end(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"run.{ending}"
    parallel.thread_map(double, range(5), report=path)
    text = path.read_text()
    assert "thread_map" in text
    assert list(tmp_path.iterdir()) == [path]
    parallel.thread_map(double, range(5), report=str(path))
    assert list(tmp_path.iterdir()) == [path]


def test_failures_retries_and_timeouts_are_in_it() -> None:
    report, release = parallel.Report(), threading.Event()
    tried: set[int] = set()

    def task(number: int) -> int:
        if number == 3:
            raise KeyError("no")
        if number == 4 and number not in tried:
            tried.add(number)
            raise OSError("again")
        if number == 5:
            release.wait(60)
        return number

    try:
        parallel.thread_map(
            task, range(10), 2, timeout=0.3, retries=1, retry_on=OSError, backoff=0, report=report
        )
    finally:
        release.set()
    (run,) = report.data["runs"]
    counts = run["counts"]
    # A TaskTimeoutError is an OSError too, so item 5 is tried twice.
    assert (counts["ok"], counts["failed"], counts["timed_out"]) == (8, 2, 1)
    assert (counts["retried"], counts["abandoned"]) == (2, 2)
    assert counts["failed_attempts"] == 2
    groups = {group["type"]: group for group in run["failures"]["groups"]}
    assert groups["KeyError"]["first_index"] == 3
    assert "raise KeyError" in groups["KeyError"]["traceback"]
    # Without the GIL there is no stack.
    assert "release.wait" in groups["TaskTimeoutError"]["traceback"] or not HAS_GIL
    assert run["slowest"][0]["item"] == "5"
    assert run["slowest"][0]["seconds"] >= 0.3


def fail(number: int) -> int:
    raise ValueError(number)


def exit_in(number: int) -> int:
    raise KeyboardInterrupt("stop")


@pytest.mark.parametrize(
    ("task", "options", "raised", "ending"),
    [
        (fail, {"on_error": "raise"}, ValueError, "failed"),
        (exit_in, {}, KeyboardInterrupt, "failed"),
        (fail, {"max_failures": 2, "on_error": "skip"}, parallel.TooManyFailuresError, "stopped"),
    ],
)
def test_it_is_written_when_a_map_ends_before_its_time(
    tmp_path: Path,
    task: Callable[[int], int],
    options: dict[str, Any],
    raised: type[BaseException],
    ending: str,
) -> None:
    path = tmp_path / "run.json"
    with pytest.raises(raised):
        parallel.thread_map(task, range(100), 2, report=path, **options)
    (run,) = json.loads(path.read_text())["runs"]
    assert run["ending"] == ending
    assert run["failures"]["groups"][0]["type"] in (ValueError.__name__, "KeyboardInterrupt")
    assert run["counts"]["failed"] >= 1


def test_items_of_a_map_that_was_stopped_are_all_counted(tmp_path: Path) -> None:
    report, cancel = parallel.Report(), threading.Event()

    def task(number: int) -> int:
        if number == 10:
            cancel.set()
            threading.Event().wait(0.5)
        return number

    parallel.thread_map(task, range(1000), 1, chunk_size=100, cancel=cancel, report=report)
    (run,) = report.data["runs"]
    assert run["ending"] == "stopped"
    counts = run["counts"]
    assert counts["finished"] == 1000
    assert counts["ok"] + counts["cancelled"] == 1000
    assert counts["ok"] >= 10


def test_an_abandoned_stream_writes_its_report(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    with parallel.imap(double, iter(range(10**6)), report=path) as results:
        next(results)
    (run,) = json.loads(path.read_text())["runs"]
    assert run["ending"] == "aborted"


@pytest.mark.parametrize("serial", [False, True])
@pytest.mark.parametrize("has_checkpoint", [False, True])
@pytest.mark.parametrize("items", [False, True])
def test_an_input_that_raises_is_no_complete_run(
    tmp_path: Path, serial: bool, has_checkpoint: bool, items: bool
) -> None:
    def read() -> Iterator[int]:
        yield 1
        raise OSError("line 2 is torn")

    report = parallel.Report(items=items)
    options: dict[str, Any] = {"checkpoint": tmp_path / "run.db"} if has_checkpoint else {}
    context = parallel.serial() if serial else nullcontext()
    with context, pytest.raises(OSError, match="line 2 is torn"):
        list(parallel.imap(double, read(), report=report, **options))
    (run,) = report.data["runs"]
    assert run["ending"] == "failed"
    assert run["reason"] == ("OSError: line 2 is torn" if items else "OSError")
    assert run["counts"]["ok"] == 1


def test_attempts_of_a_stream_that_was_left_are_counted() -> None:
    go_on = threading.Event()

    def wait_at_five(number: int) -> int:
        if number == 5:
            go_on.wait(20)
        return number

    report = parallel.Report()
    options: dict[str, Any] = {"max_workers": 1, "chunk_size": 10}
    try:
        with parallel.imap(wait_at_five, range(10), report=report, **options) as results:
            first = [next(results) for _ in range(5)]
    finally:
        go_on.set()
    assert first == [0, 1, 2, 3, 4]  # of a chunk that has not ended
    counts = report.data["runs"][0]["counts"]
    assert (counts["finished"], counts["attempts"], counts["abandoned"]) == (5, 5, 1)


def test_results_survive_a_report_that_cannot_be_written(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "gone" / "run.json"
    path.parent.mkdir()
    report = parallel.Report(path)
    path.parent.rmdir()
    with caplog.at_level(logging.ERROR, "metainformant.parallel"):
        assert parallel.thread_map(double, [1, 2], report=report) == [2, 4]
    assert f"the report {path} can't be written: No such file" in caplog.text


@pytest.mark.parametrize(
    ("value", "kind", "match"),
    [
        ("run.txt", ValueError, r"thread_map: report='run.txt' .* \.html or \.json"),
        (7, TypeError, "thread_map: report=7 "),
        ("no/such/folder/run.html", ValueError, "no folder '.*'; make it first$"),
    ],
)
def test_wrong_reports_are_refused_at_the_call(
    value: object, kind: type[Exception], match: str
) -> None:
    with pytest.raises(kind, match=match):
        parallel.thread_map(double, [], report=value)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("one", "other"), [("checkpoint", "report"), ("checkpoint", "trace"), ("report", "trace")]
)
def test_files_of_one_map_do_not_overwrite_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one: str, other: str
) -> None:
    monkeypatch.chdir(tmp_path)
    paths = {one: "run.json", other: tmp_path / "." / "run.json"}
    with pytest.raises(ValueError, match=f"thread_map: {other}=.* is the file of {one}='run.json'"):
        parallel.thread_map(double, [1], **paths)  # type: ignore[call-overload]
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_recorded_where_nobody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    from metainformant.core.parallel.engine import announcer, events

    def refuse(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(events.ChunkRun, "__init__", refuse)
    for name in ("waited", "ran", "outcomes"):
        monkeypatch.setattr(announcer.Announcer, name, refuse)
    assert parallel.thread_map(double, range(100)) == [double(n) for n in range(100)]


def test_a_slow_item_among_quick_ones_is_found() -> None:
    report, release = parallel.Report(), threading.Event()

    def task(number: int) -> int:
        if number == 150_000:
            release.wait(0.3)
        return number

    parallel.thread_map(task, range(200_000), 1, report=report)
    (run,) = report.data["runs"]
    assert run["slowest"][0]["index"] == 150_000
    assert run["slowest"][0]["seconds"] >= 0.2
    assert run["durations"]["count"] == 200_000


def test_a_report_that_saw_nothing_says_so(tmp_path: Path) -> None:
    report = parallel.Report()
    assert report.limit.kind == "unknown"
    report.save(tmp_path / "run.html")
    assert "No run has ended yet" in (tmp_path / "run.html").read_text()
