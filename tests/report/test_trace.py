"""Traces: valid in the trace-event format, complete or saying what they leave out."""

from __future__ import annotations

import gzip
import json
import logging
import threading
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from metainformant.core import parallel
from metainformant.core.parallel.report.trace import TraceWriter

NUMBER = (int, float)


def checked(path: Path) -> dict[str, Any]:
    """Read a trace; fail unless each event is as the format's documentation has it."""
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    trace: dict[str, Any] = json.loads(text)
    slices = defaultdict(list)
    for event in trace["traceEvents"]:
        assert isinstance(event["name"], str)
        assert isinstance(event["pid"], int)
        match event["ph"]:
            case "X":
                assert isinstance(event["ts"], NUMBER)
                assert event["dur"] >= 0
                slices[event["tid"]].append((event["ts"], -event["dur"]))
            case "i":
                assert event["s"] in ("g", "p", "t")
                assert isinstance(event["ts"], NUMBER)
            case "C":
                assert all(isinstance(value, NUMBER) for value in event["args"].values())
            case "M":
                assert event["name"] in ("process_name", "thread_name")
                assert isinstance(event["args"]["name"], str)
            case other:
                raise AssertionError(other)
    for thread in slices.values():  # slices of a thread are nested, or one after the other
        ends: list[float] = []
        for start, negative in sorted(thread):
            while ends and ends[-1] <= start + 0.002:
                ends.pop()
            assert not ends or start - negative <= ends[-1] + 0.002
            ends.append(start - negative)
    return trace


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
    writer = TraceWriter(str(path), "p", max_slices=50)
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
