"""The record of a run: counts are complete, and the parts of the time add up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metainformant.core.parallel.errors import TaskTimeoutError
from metainformant.core.parallel.host.usage import Usage
from metainformant.core.parallel.report.changes import WorkerChanges
from metainformant.core.parallel.report.record import Record

CHUNKS = st.lists(
    st.tuples(
        st.integers(0, 3),  # the worker
        st.floats(0, 2),  # seconds of waiting before it
        st.lists(st.floats(0, 1), max_size=8),  # how long its items take
        st.booleans(),  # whether they are timed one by one
        st.one_of(st.none(), st.floats(0, 1)),  # the share of them that is processor time
    ),
    max_size=30,
)
WAITS = st.lists(
    st.tuples(
        st.floats(0, 5),
        st.integers(0, 4),
        st.integers(0, 4),
        st.sampled_from(["input", "consumer", "rate", "retries", "tail", "tiny", "start", None]),
    ),
    max_size=20,
)


@given(CHUNKS, WAITS, st.tuples(*[st.integers(0, 50)] * 3), st.booleans())
def test_counts_are_complete_and_parts_add_up(
    chunks: list[tuple[int, float, list[float], bool, float | None]],
    waits: list[tuple[float, int, int, str | None]],
    seen: tuple[int, int, int],
    share_gil: bool,
) -> None:
    record, ends, index = Record(4, share_gil=share_gil), [0.0] * 4, 0
    record.time.add_seen(*seen)
    for worker, pause, spent, timed, share in chunks:
        start = at = ends[worker] + pause
        times = [at]
        for seconds in spent:
            at += seconds
            times.append(at)
        ends[worker] = at
        record.chunk(
            f"w{worker}",
            start - pause / 2,
            start,
            at,
            index,
            len(spent),
            str,
            times=times if timed else (),
            usage=None if share is None else Usage((at - start) * share),
        )
        index += len(spent)
    for wait in waits:
        record.time.add_wait(*wait)
    elapsed = max(ends) + 0.1
    data = record.data(elapsed, index)
    assert data["counts"]["attempts"] == data["durations"]["count"] == index
    assert sum(count for _, _, count in data["durations"]["bins"]) == index
    assert sum(data["timeline"]["attempts"]) == pytest.approx(index, abs=1e-6)
    assert sum(row["items"] for row in data["workers"]) == index
    spent_seconds = sum(sum(spent) for _, _, spent, _, _ in chunks)
    assert data["durations"]["total"] == pytest.approx(spent_seconds, abs=1e-6)
    time = data["time"]
    assert sum(time["parts"].values()) == pytest.approx(time["worker_seconds"], rel=0.02)
    assert min(time["parts"].values(), default=0) >= 0
    assert time["worker_seconds"] >= time["busy"] - 1e-6
    slowest = [slow["seconds"] for slow in data["slowest"]]
    assert slowest == sorted(slowest, reverse=True)
    if all(timed for _, _, _, timed, _ in chunks):
        exact = sorted((s for _, _, spent, _, _ in chunks for s in spent), reverse=True)[:20]
        assert slowest == pytest.approx(exact, abs=1e-9)


def test_items_that_stood_are_known_one_by_one() -> None:
    record = Record(1)
    record.chunk("w", 0, 0, 10.0, 100, 1001, str, standing=[(500, 9.0), (1101, 1.0)])
    data = record.data(10.0, None)
    assert [(slow["item"], slow["seconds"]) for slow in data["slowest"]] == [("'500'", 9.0)]
    assert data["durations"]["count"] == 1001
    assert data["durations"]["untimed"] == 1000
    assert data["durations"]["p50"] == pytest.approx(0.001, rel=0.13)


def test_outcomes_are_counted_by_how_they_ended() -> None:
    record = Record(1)
    late = TaskTimeoutError(1, "'x'", 5.0, "w", (("task.py", 7, "stuck"),))
    record.outcomes(4, {1: late, 2: ValueError("no")}, str)
    record.outcomes(3, {}, str, is_recorded=True)
    record.outcomes(1, {9: ValueError("no")}, str)
    counts = record.counts(10)
    assert (counts["finished"], counts["ok"], counts["failed"]) == (8, 5, 3)
    assert (counts["timed_out"], counts["from_checkpoint"], counts["total"]) == (1, 3, 10)
    groups = record.failures.data()["groups"]
    assert [(group["type"], group["count"]) for group in groups] == [
        ("ValueError", 2),
        ("TaskTimeoutError", 1),
    ]
    assert "stuck" in groups[1]["traceback"]


def test_more_kinds_of_failures_and_workers_than_are_kept_are_counted() -> None:
    record = Record(1)
    for index in range(1000):
        record.outcomes(1, {index: ValueError("x" * (index % 75) + "y" * (index // 75))}, str)
        record.chunk(f"w{index}", index, index, index + 1, index, 1, str)
    data = record.data(1000.0, None)
    groups = data["failures"]["groups"]
    assert sum(group["count"] for group in groups) + data["failures"]["other"] == 1000
    assert len(groups) <= 100
    assert sum(row["items"] for row in data["workers"]) == 1000
    assert len(data["workers"]) <= 513


def test_failures_whose_text_fails_are_kept() -> None:
    class OddError(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    record = Record(1)
    record.outcomes(1, {0: OddError()}, str)
    assert record.failures.data()["groups"][0]["count"] == 1


def test_messages_that_differ_in_numbers_are_one_group() -> None:
    record = Record(1)
    for index in range(30):
        record.outcomes(1, {index: ValueError(f"bad record {index * 7}: no sequence")}, str)
    record.outcomes(1, {30: ValueError("bad record: no name")}, str)
    groups = record.failures.data()["groups"]
    assert [(group["count"], group["message"]) for group in groups] == [
        (30, "bad record 0: no sequence"),
        (1, "bad record: no name"),
    ]


def test_memory_of_workers_over_time_is_the_sum_of_what_each_has_used() -> None:
    record = Record(2)
    for worker, ended, peak in [("a", 1.0, 100), ("b", 2.0, 50), ("a", 3.0, 300), ("b", 4.0, 50)]:
        usage = Usage(0.1, peak_memory=peak)
        record.chunk(worker, 0, ended - 1, ended, 0, 1, str, usage=usage)
    line = record.data(4.0, None)["timeline"]
    seen = [line["worker_memory"][int(at / line["width"])] for at in (0.5, 1.5, 2.5, 3.5, 4.0)]
    assert seen == [0, 100, 150, 350, 350]
    assert Record(2).data(4.0, None)["timeline"]["worker_memory"] == []


def test_changes_of_the_number_of_workers_are_kept_in_bounded_memory() -> None:
    changes = WorkerChanges()
    for number in range(1000):
        changes.add(float(number), number, number + 1, "a round was clean")
    kept = changes.data()
    assert [change["from"] for change in kept["list"]] == [*range(100), *range(900, 1000)]
    assert kept["left_out"] == 800
