"""What can happen to a map whose workers are actors of Ray."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from metainformant.core import parallel
from tests.backends import tasks as common
from tests.documents import run_examples
from tests.support import ROOT, wait_until, without_coverage

from . import tasks

if not TYPE_CHECKING:
    pytest.importorskip("ray", reason="not there for all builds")
import ray

from metainformant.core.parallel.backends.clusters import ray_actors

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_cluster")]


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[str]:
    path = tmp_path / "gate"
    yield str(path)
    common.open_gate(path)


def processors() -> float:
    """Return how many processors no actor holds."""
    count: float = ray.available_resources().get("CPU", 0)
    return count


def wait_until_nothing_is_left() -> None:
    """Wait until maps have let go of all actors, and end those that are kept for a while."""

    def is_so() -> bool:
        ray_actors.KeptActors().abort()
        return processors() == 2

    wait_until(is_so)


class TestDeaths:
    def test_a_worker_that_dies_costs_the_items_of_its_last_moment(self, tmp_path: Path) -> None:
        path = str(tmp_path / "runs")
        items = [(path, number, 300) for number in range(600)]
        results = parallel.cluster_map(tasks.dies_at, items, "ray")
        lost = [n for n, result in enumerate(results) if isinstance(result, Exception)]
        assert 300 in lost
        for number in lost:
            error = results[number]
            assert isinstance(error, parallel.WorkerDiedError)
            assert error.may_have_run
            assert error.index == number
            assert error.worker.startswith("ray actor ")
            assert error.pid
            assert "its process has ended" in str(error)
        assert [r for r in results if not isinstance(r, Exception)] == [
            number for number in range(600) if number not in lost
        ]
        started = [int(note) for note in common.notes(path)]
        assert len(started) == len(set(started))
        assert set(range(600)) - set(lost) <= set(started)

    def test_of_long_items_at_most_one_is_lost(self, tmp_path: Path) -> None:
        path = str(tmp_path / "runs")
        items = [(path, number, 0.15) for number in range(12)]

        def kill(index: int, _item: object, _result: object) -> None:
            if index == 4:  # somebody is in the middle of another by now
                os.kill(int(common.notes(f"{path}-pids")[-1]), signal.SIGKILL)

        results = parallel.cluster_map(tasks.sleeps, items, "ray", on_complete=kill)
        lost = [n for n, result in enumerate(results) if isinstance(result, Exception)]
        assert len(lost) <= 1  # none, if it was killed just between two items
        assert all(isinstance(results[number], parallel.WorkerDiedError) for number in lost)
        started = sorted(map(int, common.notes(path)))
        assert len(started) == len(set(started))
        assert {*started, *lost} == set(range(12))

    def test_retries_run_what_was_lost(self, tmp_path: Path) -> None:
        items = [(str(tmp_path / "runs"), number, 5) for number in range(20)]
        results = parallel.cluster_map(tasks.dies_at, items, "ray", retries=1, backoff=0)
        assert results == list(range(20))


def test_an_actor_with_a_call_that_cannot_be_ended_is_replaced(gate: str) -> None:
    items = [(gate, number) for number in range(6)]
    results = parallel.cluster_map(tasks.swallows, items, "ray", timeout=0.3)
    error = results[1]
    assert isinstance(error, parallel.TaskTimeoutError)
    assert error.worker.startswith("ray actor ")
    pids = {result for number, result in enumerate(results) if number != 1}
    assert all(type(pid) is int for pid in pids)


def test_no_processor_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "nodes", list)
    with pytest.raises(parallel.ParallelError, match=r"has had no worker for 0\.2 s"):
        parallel.cluster_map(abs, [1], "ray", wait_for_workers=0.2)


class TestHandshake:
    def test_a_worker_without_this_package(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        wait_until_nothing_is_left()  # actors that are kept have been checked
        (tmp_path / "ours_alone.py").write_text(
            "class Worker:\n    async def introduce(self): ...\n"
        )
        monkeypatch.syspath_prepend(str(tmp_path))
        import ours_alone  # type: ignore[import-not-found]

        actor = ray.remote(num_cpus=1)(ours_alone.Worker)
        monkeypatch.setattr(ray_actors, "_remote_class", lambda: actor)
        with pytest.raises(parallel.ParallelError, match="has no module ours_alone") as caught:
            parallel.cluster_map(abs, [1], "ray")
        assert "ray.init(runtime_env=" in str(caught.value)

    def test_a_function_that_workers_cannot_import_is_named(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "only_here_too.py").write_text("def twice(x):\n    return 2 * x\n")
        monkeypatch.syspath_prepend(str(tmp_path))
        import only_here_too  # type: ignore[import-not-found]

        with pytest.raises(parallel.ParallelError, match=r"func can't be read.*only_here") as info:
            parallel.cluster_map(only_here_too.twice, [1], "ray")
        assert "runtime_env={'working_dir'" in str(info.value)


class TestArrays:
    def test_large_ones_are_views_of_the_object_store(self) -> None:
        numpy = pytest.importorskip("numpy")
        items = [numpy.full(100_000, number) for number in range(6)]
        results = parallel.cluster_map(tasks.is_writeable, items, "ray", on_error="raise")
        for number, (was_writeable, array) in enumerate(results):
            assert not was_writeable
            assert not array.flags.writeable
            assert array.shape == (100_000,)
            assert set(array) == {number}

    def test_more_than_the_object_store_holds(self) -> None:
        numpy = pytest.importorskip("numpy")
        with parallel.imap(
            numpy.full, [(2**20, n) for n in range(30)], star=True, backend="ray"
        ) as arrays:
            assert [int(array[-1]) for array in arrays] == list(range(30))


class TestNothingIsLeft:
    def test_after_many_maps(self) -> None:
        for number in range(20):
            options: dict[str, Any] = {"on_error": "raise"} if number % 2 else {}
            try:
                parallel.cluster_map(common.fail_on_odd, range(10), "ray", **options)
            except ValueError:
                assert number % 2
        wait_until_nothing_is_left()
        wait_until(lambda: not _objects())

    def test_a_pool_keeps_its_actors(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ray_actors, "KEEP_SECONDS", 0.05)
        with parallel.Pool("ray", max_workers=1) as pool:
            first = pool.map(tasks.process_id, [0])
            time.sleep(0.2)  # longer than they are kept otherwise
            assert pool.map(tasks.process_id, [0]) == first
            assert list(pool.imap(tasks.process_id, [0])) == first
        wait_until(lambda: processors() == 2)

    def test_a_map_that_is_left_starts_nothing_more(self, tmp_path: Path) -> None:
        path = str(tmp_path / "runs")
        items = ((path, number) for number in range(10**9))
        with parallel.imap(common.noted, items, backend="ray") as results:
            assert next(results) == 0
        assert parallel.cluster_map(abs, [-1], "ray") == [1]
        wait_until_nothing_is_left()
        started = common.notes(path)
        assert len(started) == len(set(started))

    def test_a_deadline_frees_the_actors(self, tmp_path: Path, gate: str) -> None:
        items = [(str(tmp_path / "runs"), gate, number) for number in range(4)]
        results = parallel.cluster_map(tasks.waits, items, "ray", deadline=2, chunk_size=1)
        assert all(isinstance(result, parallel.TaskCancelledError) for result in results)
        wait_until_nothing_is_left()

    def test_after_ctrl_c(self, tmp_path: Path, gate: str) -> None:
        wait_until_nothing_is_left()
        path = str(tmp_path / "runs")
        address = ray.get_runtime_context().gcs_address
        code = f"""
import ray
from metainformant.core import parallel
from metainformant.core.parallel.backends.clusters import ray_actors
from tests.backends.clusters import tasks

ray_actors.KEEP_SECONDS = 0.05
ray.init({address!r}, log_to_driver=False, logging_level="ERROR")
try:
    parallel.cluster_map(tasks.waits, [({path!r}, {gate!r}, n) for n in range(9)], "ray")
except KeyboardInterrupt as interrupt:
    print("interrupted", flush=True)
    input()
"""
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**without_coverage(), "PYTHONPATH": str(ROOT)},
        )
        with process:
            wait_until(lambda: len(common.notes(path)) == 2)
            process.send_signal(signal.SIGINT)
            assert process.stdout is not None
            assert "interrupted\n" in process.stdout
            common.open_gate(gate)
            wait_until_nothing_is_left()  # its connection is still there
            assert len(common.notes(path)) == 2
            process.communicate("\n")


def _objects() -> int:
    """Count the objects that this process has references to."""
    counts: dict[Any, Any] = (
        ray._private.worker.global_worker.core_worker.get_all_reference_counts()
    )
    return len(counts)


def test_maps_that_begin_at_the_same_time_share_one_store(monkeypatch: pytest.MonkeyPatch) -> None:
    both = threading.Barrier(2)

    def make() -> object:
        with suppress(threading.BrokenBarrierError):
            both.wait(0.5)  # until another one is made too, if there is
        return object()

    monkeypatch.setattr(ray_actors, "_only_store", cache(make))
    with ThreadPoolExecutor(2) as threads:
        first, second = threads.submit(ray_actors.store), threads.submit(ray_actors.store)
    assert first.result() is second.result()


def test_there_has_to_be_a_ray() -> None:
    code = (
        "from metainformant.core import parallel\n"
        "try:\n    parallel.cluster_map(abs, [1], 'ray')\n"
        "except ValueError as error:\n    print(error)\n"
    )
    text = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert "call ray.init() before" in text


def test_what_a_script_defines_is_sent_and_no_ray_is_started_after_a_shutdown(
    tmp_path: Path,
) -> None:
    """Whatever a map asks of a Ray that is gone would start another one."""
    wait_until_nothing_is_left()
    script = tmp_path / "script.py"
    script.write_text(f"""
import ray, threading
from metainformant.core import parallel
from metainformant.core.parallel.backends.clusters import ray_actors

class Thing:
    def __init__(self, number):
        self.number = number

def twice(thing):
    return Thing(2 * thing.number)

ray_actors.KEEP_SECONDS = 0.05
ray.init({ray.get_runtime_context().gcs_address!r}, log_to_driver=False, logging_level="ERROR")
things = parallel.cluster_map(twice, [Thing(1), Thing(2)], "ray", max_workers=1, on_error="raise")
print([thing.number for thing in things], type(things[0]) is Thing)
ray.shutdown()
ended = threading.Event()
ray_actors.store().loop.call_soon_threadsafe(
    ray_actors.store().loop.call_later, 0.5, ended.set
)
ended.wait()
print("initialized:", ray.is_initialized())
""")
    text = subprocess.check_output(
        [sys.executable, script], text=True, cwd=ROOT, stderr=subprocess.DEVNULL
    )
    assert "[2, 4] True\n" in text
    assert "initialized: False" in text


def test_the_examples_of_the_how_to() -> None:
    run_examples(ROOT / "docs" / "howto" / "ray.md", {'ray.init("auto")\n': "\n"})
    wait_until_nothing_is_left()
