"""What the benchmarks conclude from what they measured."""

from __future__ import annotations

import itertools
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.harness.gate import ratios, verdicts
from benchmarks.harness.measure import has_turn, how_many, measure
from benchmarks.harness.page import page, quantity, section
from benchmarks.harness.pythons import free_threaded
from benchmarks.harness.results import Result, Row, Run
from benchmarks.harness.runner import lacking, run_apart
from benchmarks.harness.workload import Contender, Group, Unable, Workload
from benchmarks.peers.checkpoints import CHECKPOINTS
from benchmarks.tasks import kmers, sequences
from benchmarks.workloads import ENTRIES, GROUPS, choose
from benchmarks.workloads.failures import failing
from benchmarks.workloads.skew import naps

RESULT = Result(
    "work",
    "Work",
    "2026-01-01",
    limit="the plain loop",
    ideal=0.5,
    note="Mind the gap.",
    rows=[
        Row("plain loop", "limit", 0.5, 0.5, 0.5, 3),
        Row("metainformant", "ours", 1.0, 0.75, 1.5, 3),
        Row("slow", "peer", 4.0, 3.0, 5.0, 3),
        Row("fast", "peer", 2.0, 1.5, 2.5, 3),
        Row("unable", "peer", reason="can't: no timeout"),
    ],
)


def _workload(*contenders: Contender, **options: object) -> Workload:
    def build(_: ExitStack) -> list[Contender]:
        return list(contenders)

    return Workload("work", "Work", build, rounds=3, **options)  # type: ignore[arg-type]


def test_ratios_are_to_the_fastest_peer_and_to_the_limit() -> None:
    lines = section(RESULT).splitlines()
    assert "Limit: the plain loop, 500 ms. Mind the gap." in lines
    assert "| plain loop | 500 ms | 500 ms | 500 ms |  | 1.00 | 3 |" in lines
    assert "| metainformant | 1.00 s | 750 ms | 1.50 s | 0.50 | 2.00 | 3 |" in lines
    assert "| slow | 4.00 s | 3.00 s | 5.00 s | 2.00 | 8.00 | 3 |" in lines
    assert "| unable | can't: no timeout | | | | | |" in lines


def test_results_survive_their_file(tmp_path: Path) -> None:
    run = Run({"Python": "CPython 3.11.7"}, {"work": RESULT})
    run.save(tmp_path / "results.json")
    assert Run.load(tmp_path / "results.json") == run


def test_the_page_has_machine_date_and_what_was_measured() -> None:
    group = Group("group", "A chapter", [_workload()], "About it.")
    text = page(Run({"Python": "CPython 3.11.7"}, {"work": RESULT}), [group], {"group": "Speed"})
    parts = ("2026-01-01", "CPython 3.11.7", "## A chapter", "About it.", "### Work")
    assert [part for part in parts if part not in text] == []
    assert "![Speed](benchmarks/group.svg)" in text
    assert "| Work | 1.00 s | fast, 2.00 s | 0.50 | 2.00 |" in text


def test_the_summary_has_what_only_a_limit_is_beside() -> None:
    alone = replace(RESULT, rows=RESULT.rows[:2])
    text = page(Run({}, {"work": alone}), [Group("group", "A chapter", [_workload()])], {})
    assert "| Work | 1.00 s |  |  | 2.00 |" in text


def test_a_result_of_a_workload_that_is_gone_is_not_shown() -> None:
    results = {"work": RESULT, "gone": replace(RESULT, name="gone", title="Long gone")}
    text = page(Run({}, results), [Group("group", "A chapter", [_workload()])], {})
    assert "| Work |" in text
    assert "Long gone" not in text


def test_a_result_names_another_python() -> None:
    other = replace(RESULT, python="CPython 3.14.1, free-threaded")
    assert "500 ms. On CPython 3.14.1, free-threaded. Mind the gap." in section(other)


@pytest.mark.parametrize(
    ("needs", "missing"),
    [
        ("process_map", ""),
        ("quantum_map", "there is no parallel.quantum_map yet"),
        ("timeout=", ""),
        ("quantum=", "maps have no option quantum= yet"),
    ],
)
def test_what_the_library_lacks(needs: str, missing: str) -> None:
    assert lacking(needs) == missing


def test_a_workload_is_skipped_for_what_the_library_lacks() -> None:
    result = run_apart(_workload(needs="quantum="), scale=1.0)
    assert (result.trouble, result.rows) == ("skipped: maps have no option quantum= yet", [])


def _pretender(path: Path, status: int) -> Path:
    """Write what says, by its exit status, whether it has the GIL."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\nexit {status}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Be on a machine that has no other Pythons."""
    monkeypatch.delenv("BENCH_FREE_THREADED", raising=False)
    monkeypatch.delenv("PARALLEL_PYTHONS", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path


def test_a_free_threaded_python_may_be_named(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = _pretender(elsewhere / "given" / "python", 0)
    _pretender(elsewhere / "bin" / "python3.14t", 0)
    monkeypatch.setenv("BENCH_FREE_THREADED", str(given))
    assert free_threaded() == str(given)


def test_a_free_threaded_python_is_found(elsewhere: Path) -> None:
    _pretender(elsewhere / "bin" / "python3.15t", 1)  # PYTHON_GIL=1 may be set
    found = _pretender(elsewhere / ".pyenv" / "versions" / "3.14.1t" / "bin" / "python", 0)
    assert free_threaded() == str(found)


def test_a_free_threaded_python_that_was_made_for_tests_is_found(elsewhere: Path) -> None:
    made = elsewhere / ".cache" / "metainformant-pythons"
    found = _pretender(made / "3.13t" / "bin" / "python3.13t", 0)
    with pytest.raises(LookupError):  # the stamp is written last
        free_threaded()
    (made / "3.13t.stamp").touch()
    assert free_threaded() == str(found)


@pytest.mark.parametrize("named", ["no such file", "with the GIL"])
def test_a_named_python_must_be_free_threaded(
    named: str, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = elsewhere / "given" / "python"
    if named == "with the GIL":
        _pretender(path, 1)
    monkeypatch.setenv("BENCH_FREE_THREADED", str(path))
    result = run_apart(_workload(free_threaded=True), scale=1.0)
    assert result.trouble == (
        f"failed: BENCH_FREE_THREADED={str(path)!r} is not a Python without the GIL"
    )


@pytest.mark.usefixtures("elsewhere")
def test_without_a_free_threaded_python_a_workload_is_skipped() -> None:
    result = run_apart(_workload(free_threaded=True), scale=1.0)
    assert result.trouble == (
        "skipped: no free-threaded Python was found; BENCH_FREE_THREADED=PATH says where one is"
    )


@pytest.mark.parametrize("name", ["quick-script", "quick-warm-process", "process-first-call"])
def test_processes_are_measured(name: str) -> None:
    result = run_apart(ENTRIES[name], scale=0.01)
    assert result.trouble == ""
    assert {row.kind for row in result.rows if row.median} >= {"ours", "peer"}
    assert [row for row in result.rows if row.reason.startswith("failed")] == []


@pytest.mark.parametrize("name", ["JSON Lines", "shelve"])
def test_peers_with_checkpoints_do_only_what_is_left(name: str, tmp_path: Path) -> None:
    run = CHECKPOINTS[name]
    assert not isinstance(run, Unable)
    asked: list[int] = []

    def double(item: int) -> int:
        asked.append(item)
        return 2 * item

    assert run(double, [0, 1, 2], 1, 1, tmp_path) == [0, 2, 4]
    assert run(double, [0, 3, 2, 4], 1, 1, tmp_path) == [0, 6, 4, 8]
    assert asked == [0, 1, 2, 3, 4]


def test_a_ratio_may_be_a_quarter_worse_than_on_record() -> None:
    assert ratios(RESULT, "median") == {"work, slow": 0.25, "work, fast": 0.5}
    found = ratios(RESULT, "fastest")
    assert found == {"work, slow": 0.25, "work, fast": 0.5}
    assert verdicts(found, {"work, slow": 0.2, "work, fast": 0.4}) == {}
    assert list(verdicts(found, {"work, slow": 0.19, "work, fast": 0.4})) == ["work, slow"]


def test_what_only_one_side_has_is_wrong() -> None:
    wrong = verdicts({"new, peer": 1.0}, {"gone, peer": 1.0})
    assert list(wrong) == ["gone, peer", "new, peer"]


def test_a_contender_that_does_less_is_not_measured() -> None:
    full = Contender("full", "limit", lambda: [1, 2])
    less = Contender("less", "peer", lambda: [1])
    wrong = Contender("wrong", "peer", lambda: [1, ValueError()])
    broken = Contender("broken", "peer", lambda: [1 // 0])
    unable = Contender("unable", "peer", Unable("can't"))
    rows = measure(_workload(full, less, wrong, broken, unable)).rows
    assert rows[0].rounds == 3
    assert [row.median for row in rows[1:]] == [None] * 4
    assert [row.reason.partition(":")[0] for row in rows[1:]] == ["failed"] * 3 + ["can't"]


def test_a_contender_may_measure_itself() -> None:
    memory = Contender("memory", "peer", lambda: 3.0)
    (row,) = measure(_workload(memory, unit="MiB", own=True)).rows
    assert (row.median, row.fastest, row.slowest) == (3.0, 3.0, 3.0)


@pytest.mark.parametrize(
    ("took", "scale", "rounds"),
    [(0.1, 1.0, (3, False)), (2.0, 1.0, (3, False)), (4.0, 1.0, (2, True)), (9.0, 0.1, (0, True))],
)
def test_rounds_fit_into_the_time(took: float, scale: float, rounds: tuple[int, bool]) -> None:
    assert how_many(_workload(seconds=8), took, scale) == rounds


@pytest.mark.parametrize("turns", [1, 3, 7, 25])
def test_turns_are_spread_over_the_rounds(turns: int) -> None:
    having = [number for number in range(25) if has_turn(number, turns, 25)]
    gaps = {later - earlier for earlier, later in itertools.pairwise(having)}
    assert len(having) == turns
    assert max(gaps, default=0) - min(gaps, default=0) <= 1


def test_one_that_takes_long_sits_out_some_of_the_rounds() -> None:
    quick = Contender("quick", "limit", lambda: None)
    long = Contender("long", "peer", lambda: time.sleep(0.3))
    workload = replace(_workload(quick, long, seconds=1), rounds=8)
    rounds = {row.name: row.rounds for row in measure(workload).rows}
    assert rounds["long"] == 3
    assert 3 < rounds["quick"] <= 8


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (2.0, "s", "2.00 s"),
        (0.0123, "s", "12.3 ms"),
        (1e-9, "s", "0.00 us"),
        (1234.56, "MiB", "1,234.6 MiB"),
    ],
)
def test_quantities(value: float, unit: str, text: str) -> None:
    assert quantity(value, unit) == text


@pytest.mark.parametrize("percent", [0, 1, 33, 100])
def test_so_many_items_fail(percent: int) -> None:
    assert sum(item < 0 for item in failing(1000, percent)) == 10 * percent


def test_long_naps_are_where_they_should_be() -> None:
    places = {
        where: [place for place, nap in enumerate(naps(where, 9, 1.0)) if nap == 1.0]
        for where in ("first", "within", "last")
    }
    assert places == {"first": [0, 1], "within": [3, 7], "last": [9, 10]}


def test_sequences_are_the_real_ones() -> None:
    found = sequences()
    assert (len(found), sum(map(len, found[94:]))) == (143, 48_502)
    assert kmers("ACACAC", 2) == {"AC": 3, "CA": 2}


def test_workloads_are_chosen_by_chapter_and_by_name() -> None:
    names = [entry.name for entry in choose(["skew", "latency-one"])]
    assert names == ["skew-first", "skew-within", "skew-last", "latency-one"]
    assert len(choose([])) == sum(len(group.entries) for group in GROUPS)
    assert len(ENTRIES) > len(choose([]))
    with pytest.raises(ValueError, match="is called wrong"):
        choose(["wrong"])
