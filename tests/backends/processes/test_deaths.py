"""A worker that dies costs the item that it was at, and nothing else."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path
from typing import Any

import pytest

from metainformant.core import parallel
from tests.backends import tasks
from tests.backends.processes import tasks as process_tasks
from tests.backends.processes.support import METHODS, every_method, wait_until_gone
from tests.backends.table import FORKS


class TestDeaths:
    """A worker that dies costs the item that it was at, and nothing else."""

    @every_method
    def test_only_the_item_in_flight_is_lost(self, method: Any, tmp_path: Path) -> None:
        path = str(tmp_path / "runs")
        deaths = dict(zip((0, 5, 11, 23), process_tasks.FATES, strict=True))  # of two chunks
        items = [(path, number, deaths.get(number, "")) for number in range(24)]
        results = parallel.process_map(
            process_tasks.die_if, items, 2, chunk_size=12, start_method=method
        )
        died = []
        result: Any
        for number, result in enumerate(results):
            if number not in deaths:
                assert result[0] == number
                continue
            assert isinstance(result, parallel.WorkerDiedError)
            assert result.index == number
            assert result.fate == process_tasks.FATES[deaths[number]]
            assert result.item.startswith(f"('{tmp_path}"[:10])
            assert result.worker.startswith("process_map-")
            died.append(result.pid)
        assert sorted(died) == sorted(map(int, tasks.notes(f"{path}-died")))
        assert sorted(map(int, tasks.notes(path))) == list(range(24))

    @pytest.mark.filterwarnings(FORKS[0].args[0], FORKS[1].args[0])
    def test_a_hundred_of_a_thousand(self, tmp_path: Path) -> None:
        path = str(tmp_path / "runs")
        fatal = set(random.Random(1).sample(range(1000), 100))
        items = [(path, number, "exit" if number in fatal else "") for number in range(1000)]
        results = parallel.process_map(process_tasks.die_if, items, 2, start_method="fork")
        result: Any
        for number, result in enumerate(results):
            if number in fatal:
                assert isinstance(result, parallel.WorkerDiedError)
                assert result.index == number
            else:
                assert result[0] == number
        assert sorted(map(int, tasks.notes(path))) == list(range(1000))

    def test_a_lost_item_may_be_tried_again(self, tmp_path: Path) -> None:
        path = str(tmp_path / "runs")
        items = [(path, number) for number in range(3)]
        results = parallel.process_map(process_tasks.die_at_first, items, 2, retries=1, backoff=0)
        assert results == [0, 1, 2]
        for number in range(3):
            assert tasks.notes(f"{path}-{number}") == ["attempt"] * 2

    def test_an_item_that_kills_who_reads_it(self) -> None:
        items = [0, 1, process_tasks.DiesWhenRead(), 3, 4]
        results = parallel.process_map(tasks.same, items, 1, chunk_size=5)
        assert isinstance(results[2], parallel.WorkerDiedError)
        assert (results[2].index, results[2].fate) == (2, "exited with status 9")
        assert [*results[:2], *results[3:]] == [0, 1, 3, 4]

    def test_it_may_be_raised_or_counted(self, tmp_path: Path) -> None:
        items = [(str(tmp_path / "runs"), number, "exit") for number in range(5)]
        with pytest.raises(parallel.WorkerDiedError, match="exited with status 7"):
            parallel.process_map(process_tasks.die_if, items, 1, on_error="raise")
        results = parallel.process_map(process_tasks.die_if, items, 1, max_failures=1)
        assert [type(result) for result in results[:2]] == [parallel.WorkerDiedError] * 2
        assert [type(result) for result in results[2:]] == [parallel.TaskCancelledError] * 3

    @every_method
    def test_one_that_dies_before_its_first_item_stops_the_map(self, method: Any) -> None:
        began = time.monotonic()
        for initializer in (process_tasks.exit_at_once, process_tasks.DiesWhenPrepared()):
            if method == "fork" and initializer is not process_tasks.exit_at_once:
                continue  # what is inherited is not read
            with pytest.raises(parallel.ParallelError, match=r"exited with status \d before it"):
                parallel.process_map(abs, range(9), 2, initializer=initializer, start_method=method)
        assert time.monotonic() - began < 15

    def test_what_a_killed_task_had_started_is_killed_too(self, tmp_path: Path) -> None:
        path = str(tmp_path / "pids")
        results = parallel.process_map(process_tasks.start_sleeper, [path], 1, timeout=1.5)
        assert isinstance(results[0], parallel.TaskTimeoutError)
        (pid,) = map(int, tasks.notes(path))
        wait_until_gone([pid])

    @pytest.mark.parametrize("leave", [process_tasks.leave_a_thread, process_tasks.fork_and_leave])
    def test_what_tasks_leave_running_keeps_nobody_waiting(self, leave: Any) -> None:
        began = time.monotonic()
        assert parallel.process_map(leave, range(3), 1) == [0, 1, 2]
        assert time.monotonic() - began < 30


def chosen(seed: int) -> tuple[list[str], dict[str, Any]]:
    chance = random.Random(seed)
    rare = ("hang", "busy", "swallow") if seed % 4 == 0 else ("fail",)
    kinds = ["value"] * 60 + ["fail", "return error", "unpicklable", "large"] * 4 + ["die"] * 2
    drawn = chance.choices(kinds, k=60)
    for kind in rare:
        drawn[chance.randrange(60)] = kind
    options = {
        "max_workers": chance.choice((1, 2, 3)),
        "chunk_size": chance.choice((None, None, 1, 7, 60)),
        "ordered": chance.random() < 0.7,
        "timeout": 2.0 if seed % 4 == 0 else None,
    }
    return drawn, options


@pytest.mark.skipif("fork" not in METHODS, reason="needs fork")
@pytest.mark.filterwarnings(FORKS[0].args[0], FORKS[1].args[0])
def test_many_maps_with_random_faults(tmp_path: Path) -> None:
    """Every outcome is what it must be, and nothing is run twice or not at all."""
    expected = {
        "fail": ValueError,
        "return error": KeyError,
        "unpicklable": parallel.ParallelError,
        "large": bytes,
        "die": parallel.WorkerDiedError,
        "hang": parallel.TaskTimeoutError,
        "busy": parallel.TaskTimeoutError,
        "swallow": parallel.TaskTimeoutError,
    }
    for seed in range(int(os.environ.get("PARALLEL_STRESS", "16"))):
        kinds, options = chosen(seed)
        path = str(tmp_path / f"runs-{seed}")
        items = [(number, kind, path) for number, kind in enumerate(kinds)]
        results = parallel.process_map(process_tasks.faulty, items, start_method="fork", **options)
        try:
            wanted = [expected.get(kind, int) for kind in kinds]
            got = [type(result) for result in results]
            assert len(got) == 60
            assert sorted(map(int, tasks.notes(path))) == list(range(60))
            if options["ordered"]:
                assert got == wanted
                assert all(r == n for n, r in enumerate(results) if type(r) is int)
            else:
                assert sorted(map(repr, got)) == sorted(map(repr, wanted))
        except AssertionError as error:
            error.add_note(f"seed {seed}, options {options}")
            raise
