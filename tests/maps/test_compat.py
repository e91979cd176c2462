"""The functions that other libraries have taught people."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
import time
from typing import Any

import pytest

from metainformant.core import parallel


class TestGatherResults:
    def test_successes_and_errors_in_order(self) -> None:
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            futures = [pool.submit(int, text) for text in ("3", "x", "1", "y")]
            successes, errors = parallel.gather_results(futures)
        assert successes == [3, 1]
        assert [str(error)[-3:] for error in errors] == ["'x'", "'y'"]

    def test_one_limit_for_all(self) -> None:
        release = threading.Event()
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            try:
                futures = [pool.submit(release.wait, 60) for _ in range(3)]
                futures.insert(1, pool.submit(bool, 1))
                began = time.monotonic()
                successes, errors = parallel.gather_results(futures, timeout=0.1)
                assert time.monotonic() - began < 5
            finally:
                release.set()
        assert successes == [True] or successes == []  # it may not have found a thread
        assert all(isinstance(error, TimeoutError) for error in errors)
        assert len(successes) + len(errors) == 4

    def test_a_future_of_an_event_loop_is_refused(self) -> None:
        loop = asyncio.new_event_loop()
        try:
            future = loop.create_future()
            future.set_result(1)
            with pytest.raises(TypeError, match=r"event loop.* use asyncio\.gather"):
                parallel.gather_results([future])  # type: ignore[arg-type]
        finally:
            loop.close()

    def test_a_cancelled_future_is_an_error(self) -> None:
        future: concurrent.futures.Future[int] = concurrent.futures.Future()
        future.cancel()
        successes, (error,) = parallel.gather_results([future])
        assert successes == []
        assert isinstance(error, concurrent.futures.CancelledError)

    def test_wrong_arguments(self) -> None:
        wrong: Any = [3]
        with pytest.raises(TypeError, match=r"3 is not a future; pass what Executor\.submit"):
            parallel.gather_results(wrong)
        with pytest.raises(ValueError, match="gather_results: timeout=0 must be"):
            parallel.gather_results([], timeout=0)


def test_rate_limited_map() -> None:
    began = time.monotonic()
    results = parallel.rate_limited_map(int, ["1", "x", "3", "4", "5"], 50, 2, 10.0)
    assert [results[0], *results[2:]] == [1, 3, 4, 5]
    assert isinstance(results[1], ValueError)
    assert time.monotonic() - began >= 3 / 50


class TestResourceAwareWorkers:
    @pytest.fixture(autouse=True)
    def machine(self, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
        monkeypatch.setenv("PYTHON_CPU_COUNT", "6")
        self.free(monkeypatch, 100 * 2**30)
        return monkeypatch

    @staticmethod
    def free(monkeypatch: pytest.MonkeyPatch, amount: int | None) -> None:
        monkeypatch.setattr(
            "metainformant.core.parallel.maps.compat.available_memory", lambda: amount
        )

    def test_by_processors(self, machine: pytest.MonkeyPatch) -> None:
        assert parallel.resource_aware_workers("cpu") == 6
        assert parallel.resource_aware_workers() == 24
        assert parallel.resource_aware_workers("io", 10) == 10
        machine.setenv("PYTHON_CPU_COUNT", "100")
        assert parallel.resource_aware_workers("io") == 64
        assert parallel.resource_aware_workers("cpu") == 100

    def test_by_memory(self, machine: pytest.MonkeyPatch) -> None:
        self.free(machine, 1024 * 2**20)
        assert parallel.resource_aware_workers("cpu") == 4
        assert parallel.resource_aware_workers("cpu", memory_per_worker_mb=500) == 2
        assert parallel.resource_aware_workers("cpu", memory_per_worker_mb=5000) == 1
        self.free(machine, None)
        assert parallel.resource_aware_workers("cpu", memory_per_worker_mb=5000) == 6

    def test_wrong_arguments(self) -> None:
        wrong: Any = "gpu"
        with pytest.raises(ValueError, match="task_type='gpu' must be 'io' or 'cpu'"):
            parallel.resource_aware_workers(wrong)
        with pytest.raises(ValueError, match="max_cap=0 must be"):
            parallel.resource_aware_workers(max_cap=0)
        with pytest.raises(ValueError, match="memory_per_worker_mb=0 must be"):
            parallel.resource_aware_workers(memory_per_worker_mb=0)
