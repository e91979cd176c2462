"""Workers are replaced after so many items, or when they use too much memory."""

from __future__ import annotations

import itertools
import time
from typing import Any

import pytest

from metainformant.core import parallel
from tests.backends.processes import tasks as process_tasks


class TestLimits:
    def test_a_worker_is_replaced_after_so_many_items(self) -> None:
        pids = parallel.process_map(process_tasks.hoard, [0] * 10, 1, max_tasks_per_worker=4)
        assert [len(list(run)) for _, run in itertools.groupby(pids)] == [4, 4, 2]

    def test_a_worker_that_uses_too_much_is_replaced_between_items(self) -> None:
        """It is seen within 0.05 s; the others would take two seconds."""
        limit = 140 * 2**20
        pids = parallel.process_map(process_tasks.hoard, [150] + [0] * 200, 1, memory_limit=limit)
        assert len([*itertools.groupby(pids)]) == 2

    def test_a_worker_that_explodes_within_an_item_is_killed(self) -> None:
        limit = 150 * 2**20
        results = parallel.process_map(process_tasks.explode, range(3), 1, memory_limit=limit)
        assert results[0] == 0
        assert isinstance(results[1], parallel.WorkerDiedError)
        assert "far more than memory_limit=150 MiB" in str(results[1])
        assert results[2] == 2

    def test_a_timeout_does_not_speak_of_threads(self) -> None:
        stuck = parallel.outcomes(time.sleep, [1000], backend="process", timeout=0.1)
        error: Any = next(stuck).error
        error._is_running = lambda: True  # as it is for a moment
        assert str(error).endswith("If it does not end at once, its process is killed.")
        assert "thread" not in str(error)

    def test_numerical_libraries_use_no_more_threads_than_there_is_room_for(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PYTHON_CPU_COUNT", "6")
        assert parallel.process_map(process_tasks.thread_variables, [0], 2) == [{"3"}]
        assert parallel.process_map(process_tasks.thread_variables, [0], 8) == [{"1"}]
        variables = process_tasks.thread_variables
        assert parallel.process_map(variables, [0], 1, inner_threads=2) == [{"2"}]

    def test_libraries_that_are_loaded_already_are_limited_too(self) -> None:
        pytest.importorskip("numpy")
        pytest.importorskip("threadpoolctl")
        threads = process_tasks.blas_threads
        options: Any = {"inner_threads": 1, "initializer": __import__, "initargs": ("numpy",)}
        assert parallel.process_map(threads, [0], 1, **options)[0] <= {1}
