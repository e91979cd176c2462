"""Traces: valid in the trace-event format, complete or saying what they leave out."""

from __future__ import annotations

import gc
import gzip
import json
import logging
import math
import subprocess
import sys
import threading
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from metainformant.core import parallel
from metainformant.core.parallel.report.trace import TraceWriter
from metainformant.core.parallel.report.track import MAX_PLAIN, MAX_SPECIAL, Track

# The fields of each kind of event ("Trace Event Format"): those that it must have, and others.
FIELDS = {
    "X": ({"name", "cat", "ph", "ts", "dur", "pid", "tid", "args"}, {"cname"}),
    "i": ({"name", "ph", "s", "ts", "pid", "tid"}, set()),
    "C": ({"name", "ph", "ts", "pid", "tid", "args"}, set()),
    "M": ({"name", "ph", "pid", "tid", "args"}, set()),
}


def is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def checked(path: Path) -> dict[str, Any]:
    """Read a trace; fail unless each event is as the format's documentation has it.

    Perfetto's own trace processor can't be had from a package registry: the package downloads it.
    """
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    trace: dict[str, Any] = json.loads(text)
    assert set(trace) == {"displayTimeUnit", "traceEvents", "otherData"}
    assert trace["displayTimeUnit"] in ("ms", "ns")
    assert isinstance(trace["otherData"], dict)
    slices = defaultdict(list)
    names: dict[tuple[str, int, int], str] = {}
    for event in trace["traceEvents"]:
        needed, others = FIELDS[event["ph"]]
        assert needed <= set(event) <= needed | others
        assert isinstance(event["name"], str)
        assert type(event["pid"]) is type(event["tid"]) is int
        assert "ts" not in event or (is_number(event["ts"]) and event["ts"] >= 0)
        match event["ph"]:
            case "X":
                assert is_number(event["dur"])
                assert event["dur"] >= 0
                assert isinstance(event["cat"], str)
                assert event.get("cname") in (None, "terrible")  # a name of Chrome's palette
                slices[event["pid"], event["tid"]].append((event["ts"], -event["dur"]))
            case "i":
                assert event["s"] in ("g", "p", "t")
            case "C":
                assert event["args"]
                assert all(map(is_number, event["args"].values()))
            case "M":
                assert event["name"] in ("process_name", "thread_name")
                assert isinstance(event["args"]["name"], str)
                thread = event["tid"] if event["name"] == "thread_name" else 0
                assert (event["name"], event["pid"], thread) not in names  # named once
                names[event["name"], event["pid"], thread] = event["args"]["name"]
    for event in trace["traceEvents"]:  # whatever happens, happens in something that has a name
        assert ("process_name", event["pid"], 0) in names
        assert ("thread_name", event["pid"], event["tid"]) in names
    for those in slices.values():  # slices of a thread are nested, or one after the other
        ends: list[float] = []
        for start, negative in sorted(those):
            while ends and ends[-1] <= start + 0.002:
                ends.pop()
            assert not ends or start - negative <= ends[-1] + 0.002
            ends.append(start - negative)
    return trace


def threads(trace: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the names of the processes and threads."""
    named = [event for event in trace["traceEvents"] if event["ph"] == "M"]
    processes = {e["pid"]: e["args"]["name"] for e in named if e["name"] == "process_name"}
    return [(processes[e["pid"]], e["args"]["name"]) for e in named if e["name"] == "thread_name"]


def slices(trace: dict[str, Any], *kinds: str) -> list[dict[str, Any]]:
    return [event for event in trace["traceEvents"] if event.get("cat") in kinds]


@pytest.mark.parametrize("ending", ["json.gz", "json"])
@pytest.mark.parametrize("backend", ["thread", "process"])
def test_a_slice_for_each_item(tmp_path: Path, ending: str, backend: str) -> None:
    path = tmp_path / f"run.{ending}"
    with parallel.Pool(backend=backend, max_workers=2) as pool:
        pool.map(float, ["1", "no", "3"], chunk_size=1, trace=path)
    trace = checked(path)
    assert sorted(event["args"]["index"] for event in slices(trace, "item", "failed")) == [0, 1, 2]
    assert [event["name"] for event in slices(trace, "failed")] == ["'no'"]
    assert trace["otherData"]["items without a slice"] == 0
    assert trace["otherData"]["ending"] == "completed"
    assert list(tmp_path.iterdir()) == [path]


def test_timeouts_and_counters_are_in_it(tmp_path: Path) -> None:
    path, release = tmp_path / "run.json", threading.Event()
    try:
        parallel.thread_map(
            lambda n: release.wait(60) if n == 1 else n, range(3), 2, timeout=0.2, trace=path
        )
    finally:
        release.set()
    events = checked(path)["traceEvents"]
    moments = {event["name"] for event in events if event["ph"] == "i"}
    assert {"timeout: item 1", "given up: item 1", "end: completed"} <= moments
    counters = {event["name"] for event in events if event["ph"] == "C"}
    assert {"running", "queued", "waiting for retry"} <= counters


def test_a_map_that_fails_leaves_a_whole_trace(tmp_path: Path) -> None:
    path = tmp_path / "run.json.gz"
    with pytest.raises(ZeroDivisionError):
        parallel.thread_map(lambda n: 1 / n, [1, 0], on_error="raise", trace=path)
    assert checked(path)["otherData"]["ending"] == "failed"


def test_items_without_a_slice_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    writer = TraceWriter(str(path), max_slices=50)
    writer.begin("p")
    for first in range(0, 5000, 50):
        times = [first + at / 100 for at in range(51)]
        times[-1] += 0.3  # the last one is slow
        failed = {7: ValueError()} if first == 1000 else {}
        writer.chunk("w", first, times[-1], first, 50, str, times, failed, 1)
    writer.close({})
    trace = checked(path)
    there = {event["args"]["index"] for event in slices(trace, "item", "failed")}
    assert {1007, 2000, 3000} | set(range(50)) <= there
    assert len(there) + trace["otherData"]["items without a slice"] == 5000
    assert trace["otherData"]["slices"] == len(there) < 200


def test_quick_items_are_counted_too(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    parallel.thread_map(abs, range(50_000), 1, trace=path)
    trace = checked(path)
    there = len(slices(trace, "item"))
    assert there + trace["otherData"]["items without a slice"] == 50_000
    assert sum(event["args"]["items"] for event in slices(trace, "chunk")) == 50_000


def test_a_trace_that_cannot_be_written_costs_no_result(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("no space")

    monkeypatch.setattr(TraceWriter, "_event", fail)
    monkeypatch.setattr(TraceWriter, "_name", lambda *_: None)
    with caplog.at_level(logging.ERROR, "metainformant.parallel"):
        assert parallel.thread_map(abs, [-1], trace=tmp_path / "run.json") == [1]
    assert "the trace can't be written" in caplog.text
    assert not list(tmp_path.iterdir())


def test_items_can_be_left_out(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    parallel.thread_map(len, ["secret"], trace=path, report=parallel.Report(items=False))
    assert "secret" not in path.read_text()


def test_a_wrong_path_is_refused_at_the_call() -> None:
    with pytest.raises(ValueError, match=r"thread_map: trace='run.html' .* \.json\.gz or \.json"):
        parallel.thread_map(abs, [], trace="run.html")


def test_a_report_writes_a_trace_of_its_runs_afterwards(tmp_path: Path) -> None:
    report, path = parallel.Report(), tmp_path / "run.json.gz"
    with parallel.Pool(backend="process", max_workers=2) as pool:
        pool.map(float, ["1", "no", "3"], chunk_size=1, report=report)
    parallel.thread_map(abs, range(50_000), 1, report=report)
    report.trace(path)
    trace = checked(path)
    assert [run["ending"] for run in trace["otherData"]["runs"]] == ["completed", "completed"]
    items = slices(trace, "item", "failed")
    assert {0, 1, 2} <= {event["args"]["index"] for event in items}
    (failed,) = slices(trace, "failed")
    assert failed["name"] == "'no'"
    assert sum(event["args"]["items"] for event in slices(trace, "chunk")) == 50_003
    assert len(items) + trace["otherData"]["items without a slice"] == 50_003
    processes = {process for process, _ in threads(trace)}
    assert processes == {"Pool.map (process)", "thread_map (thread)"}
    names = {event["name"] for event in trace["traceEvents"] if event["ph"] in "iC"}
    assert {"end: completed", "running", "queued"} <= names
    assert list(tmp_path.iterdir()) == [path]
    report.trace(tmp_path / "run.json")
    assert checked(tmp_path / "run.json") == trace


def test_a_trace_of_a_report_hides_what_the_report_hides(tmp_path: Path) -> None:
    report, path = parallel.Report(items=False), tmp_path / "run.json"
    parallel.thread_map(int, ["secret"], report=report)
    report.trace(path)
    assert checked(path)["otherData"]["runs"][0]["ending"] == "completed"
    assert "secret" not in path.read_text()


def test_a_report_of_no_run_has_an_empty_trace(tmp_path: Path) -> None:
    parallel.Report().trace(tmp_path / "run.json")
    assert checked(tmp_path / "run.json")["traceEvents"] == []


def test_wrong_traces_of_a_report_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"path='run.html' .* \.json\.gz or \.json"):
        parallel.Report().trace("run.html")
    with pytest.raises(ValueError, match=r"keep_trace=False .* pass trace='run.json' to the map"):
        parallel.Report(keep_trace=False).trace("run.json")
    with pytest.raises(TypeError, match="keep_trace=1 must be True or False"):
        parallel.Report(keep_trace=1)  # type: ignore[arg-type]


def test_a_report_keeps_a_bounded_sample_for_its_trace(tmp_path: Path) -> None:
    track, count, each = Track(0.0), 40_000, 4
    track.begin("p")
    for number in range(count):
        first, is_slow = number * each, number % 1000 == 999
        times = [number + at * (0.2 if is_slow else 0.01) for at in range(each + 1)]
        failed = {1: ValueError()} if number == 37_777 else {}
        track.chunk("w", times[0], times[-1], first, each, str, times, failed, 1)
        track.counters(float(number), {"running": 1})
        track.instant("cut", float(number), "w")
    track.close({"ending": "completed"})
    path = tmp_path / "run.json"
    writer = TraceWriter(str(path))
    track.write(writer, 5.0)
    writer.close({})
    trace = checked(path)
    items = slices(trace, "item", "failed")
    assert len(items) + len(slices(trace, "chunk")) <= MAX_PLAIN + MAX_SPECIAL
    assert len(items) + trace["otherData"]["items without a slice"] == count * each
    there = {event["args"]["index"] for event in items}
    assert 37_777 * each + 1 in there
    # Those that were slow once more came than are kept, and a part of each part of the run.
    assert {number * each for number in range(12_999, count, 1000)} <= there
    for tenth in range(10):
        assert any(tenth <= index / (count * each) * 10 < tenth + 1 for index in there)
    assert len(trace["traceEvents"]) < 65_000


def test_a_process_for_each_host_and_threads_that_do_not_overlap(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    writer = TraceWriter(str(path))
    writer.begin("cluster_map (dask)")
    dask, ray = "tcp://10.0.0.7:3344", "ray actor 12 on 10.0.0.8"
    for first, (worker, start, end) in enumerate(
        [(dask, 0.0, 2.0), (dask, 1.0, 3.0), (dask, 2.0, 4.0), (ray, 0.0, 1.0)]
    ):
        writer.chunk(worker, start, end, first, 1, str, [start, end], (), 1)
    writer.close({})
    assert threads(checked(path)) == [
        ("cluster_map (dask)", "engine"),
        ("cluster_map (dask) on 10.0.0.7", dask),
        ("cluster_map (dask) on 10.0.0.7", f"{dask} (2)"),
        ("cluster_map (dask) on 10.0.0.8", ray),
    ]


def test_a_stream_that_is_dropped_leaves_no_file(tmp_path: Path) -> None:
    never_started = parallel.imap(abs, [1, 2], trace=tmp_path / "a.json.gz")
    never_started.close()
    del never_started
    gc.collect()
    assert list(tmp_path.iterdir()) == []


def test_an_exit_in_the_middle_of_a_stream_leaves_no_file(tmp_path: Path) -> None:
    code = (
        "import sys, threading; from metainformant.core import parallel\n"
        "wait = lambda item: item == 0 or threading.Event().wait(60)\n"
        "stream = parallel.imap(wait, range(9), max_workers=2, trace=sys.argv[1] + '/a.json.gz')\n"
        "next(stream)"
    )
    command = [sys.executable, "-X", "dev", "-c", code, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    left = [path for path in tmp_path.iterdir() if path.suffix == ".part"]
    assert (left, done.stderr) == ([], "")
