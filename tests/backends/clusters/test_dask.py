"""What can happen to a map whose workers are those of a Dask cluster."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from metainformant.core import parallel
from metainformant.core.parallel.backends.clusters import agent, handshake, loop
from tests.backends import tasks as common
from tests.documents import run_examples
from tests.support import ROOT, wait_until, without_coverage

from . import tasks

if not TYPE_CHECKING:
    pytest.importorskip("distributed", reason="not there for builds without the GIL")
import distributed

from metainformant.core.parallel.backends.clusters import dask_line

from .support import await_all_workers, make_cluster, start_to_leave


@pytest.fixture
def own_client() -> Iterator[distributed.Client]:
    """A client of a cluster that the test may harm."""
    with make_cluster() as cluster, distributed.Client(cluster) as client:
        yield client


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[str]:
    path = tmp_path / "gate"
    yield str(path)
    common.open_gate(path)


def scheduler_tasks(client: distributed.Client) -> list[str]:
    names: list[str] = client.run_on_scheduler(lambda dask_scheduler: list(dask_scheduler.tasks))
    return names


class TestDeaths:
    def test_a_worker_that_dies_costs_the_items_of_its_last_moment(
        self, own_client: distributed.Client, tmp_path: Path
    ) -> None:
        path = str(tmp_path / "runs")
        items = [(path, number, 300) for number in range(600)]
        results = parallel.cluster_map(tasks.dies_at, items, own_client)
        lost = [n for n, result in enumerate(results) if isinstance(result, Exception)]
        assert 300 in lost
        for number in lost:
            error = results[number]
            assert isinstance(error, parallel.WorkerDiedError)
            assert error.may_have_run
            assert error.index == number
            assert error.worker.startswith("tcp://")
            assert error.pid
            assert "It may have been run or not" in str(error)
        assert [r for r in results if not isinstance(r, Exception)] == [
            number for number in range(600) if number not in lost
        ]
        started = [int(note) for note in common.notes(path)]
        assert len(started) == len(set(started))
        assert set(range(600)) - set(lost) <= set(started)

    def test_of_long_items_at_most_one_is_lost(
        self, own_client: distributed.Client, tmp_path: Path
    ) -> None:
        path = str(tmp_path / "runs")
        items = [(path, number, 0.15) for number in range(12)]

        def kill(index: int, _item: object, _result: object) -> None:
            if index == 4:  # somebody is in the middle of another by now
                os.kill(int(common.notes(f"{path}-pids")[-1]), signal.SIGKILL)

        results = parallel.cluster_map(tasks.sleeps, items, own_client, on_complete=kill)
        lost = [n for n, result in enumerate(results) if isinstance(result, Exception)]
        assert len(lost) <= 1  # none, if it was killed just between two items
        assert all(isinstance(results[number], parallel.WorkerDiedError) for number in lost)
        started = sorted(map(int, common.notes(path)))
        assert len(started) == len(set(started))
        assert {*started, *lost} == set(range(12))

    def test_retries_run_what_was_lost(
        self, own_client: distributed.Client, tmp_path: Path
    ) -> None:
        items = [(str(tmp_path / "runs"), number, 5) for number in range(20)]
        results = parallel.cluster_map(tasks.dies_at, items, own_client, retries=1, backoff=0)
        assert results == list(range(20))

    def test_what_the_scheduler_runs_again_does_nothing(
        self, dask_client: distributed.Client
    ) -> None:
        """A seat that has been taken, or whose agent is in a process of before, is refused."""
        worker = next(iter(dask_client.nthreads()))
        submit = dask_client.submit(agent.run_seat, "no such agent", 1, workers=[worker])
        assert submit.result() is None


class TestCallsThatCannotBeEnded:
    def test_a_worker_with_one_thread_and_a_nanny_is_replaced(
        self, own_client: distributed.Client, gate: str
    ) -> None:
        items = [(gate, number) for number in range(6)]
        results = parallel.cluster_map(tasks.swallows, items, own_client, timeout=0.3)
        error = results[1]
        assert isinstance(error, parallel.TaskTimeoutError)
        assert error.worker.startswith("tcp://")
        assert all(type(result) is int for n, result in enumerate(results) if n != 1)
        pids = own_client.run(os.getpid)
        await_all_workers(own_client)
        assert len(pids) <= 2

    def test_others_leave_it_behind(self, gate: str) -> None:
        with (
            make_cluster(n_workers=1, threads_per_worker=2) as cluster,
            distributed.Client(cluster) as client,
        ):
            before = client.run(os.getpid)
            items = [(gate, number) for number in range(6)]
            results = parallel.cluster_map(tasks.swallows, items, client, timeout=0.3)
            error = results[1]
            assert isinstance(error, parallel.TaskTimeoutError)
            assert "still runs on 'tcp://" in str(error) or error.running
            assert client.run(os.getpid) == before


class TestWorkersThatComeAndGo:
    def test_workers_that_join_are_used(self, tmp_path: Path, gate: str) -> None:
        path = str(tmp_path / "runs")
        with make_cluster(n_workers=1) as cluster, distributed.Client(cluster) as client:
            items = [(path, gate, number) for number in range(2)]

            def grow() -> None:
                wait_until(lambda: common.notes(path))
                cluster.scale(2)
                wait_until(lambda: len(common.notes(path)) == 2)  # both run at the same time
                common.open_gate(gate)

            thread = threading.Thread(target=grow)
            thread.start()
            results = parallel.cluster_map(tasks.waits, items, client, chunk_size=1)
            thread.join()
        assert results == [0, 1]

    def test_no_worker_is_an_error(self) -> None:
        with (
            make_cluster(n_workers=0) as cluster,
            distributed.Client(cluster) as client,
            pytest.raises(parallel.ParallelError, match=r"has had no worker for 0\.2 s") as caught,
        ):
            parallel.cluster_map(abs, [1], client, wait_for_workers=0.2)
        assert isinstance(caught.value.results[0], parallel.TaskCancelledError)  # type: ignore[index]


class TestWorkersThatLeave:
    def test_one_that_is_retired_finishes_what_it_is_running(
        self, own_client: distributed.Client, tmp_path: Path, gate: str
    ) -> None:
        path = str(tmp_path / "runs")
        items = [(path, gate, number) for number in range(20)]
        retired: list[str] = []

        def retire() -> None:
            wait_until(lambda: len(common.notes(path)) == 2)  # both are in the middle of an item
            retired.extend(own_client.retire_workers([next(iter(own_client.nthreads()))]))
            time.sleep(1)  # long enough for the map to learn that the scheduler let it go
            common.open_gate(gate)

        thread = threading.Thread(target=retire)
        thread.start()
        results = parallel.cluster_map(tasks.waits, items, own_client)
        thread.join()
        assert len(retired) == 1
        assert results == list(range(20))
        assert sorted(map(int, common.notes(path))) == list(range(20))
        wait_until(lambda: not scheduler_tasks(own_client))

    def test_one_whose_lifetime_is_over_gives_back_what_it_has_not_started(
        self, own_client: distributed.Client, tmp_path: Path, gate: str
    ) -> None:
        path = str(tmp_path / "runs")
        items = [(path, gate, number) for number in range(20)]

        def end() -> None:
            wait_until(lambda: len(common.notes(path)) == 2)
            start_to_leave(next(iter(own_client.cluster.workers.values())))
            common.open_gate(gate)

        thread = threading.Thread(target=end)
        thread.start()
        results = parallel.cluster_map(tasks.waits, items, own_client)
        thread.join()
        assert results == list(range(20))
        assert sorted(map(int, common.notes(path))) == list(range(20))


def test_a_worker_that_is_stopped_and_goes_on(
    own_client: distributed.Client, tmp_path: Path, gate: str
) -> None:
    """Others run what it has not started; the time that it was stopped counts for its item."""
    path = str(tmp_path / "runs")
    timeout = 2.0
    items = [(path, gate, 0), *(("", "", number) for number in range(1, 400))]
    finished = itertools.count(1)
    pids = own_client.run(os.getpid).values()
    stopped: list[int] = []

    def stop(index: int, _item: object, _result: object) -> None:
        if not stopped:
            wait_until(lambda: common.notes(f"{path}-pids"))
            stopped.append(int(common.notes(f"{path}-pids")[0]))
            os.kill(stopped[0], signal.SIGSTOP)
        if next(finished) == 399:  # all but the one that is stopped
            time.sleep(timeout)
            os.kill(stopped[0], signal.SIGCONT)

    results = parallel.cluster_map(
        tasks.waits_if, items, own_client, timeout=timeout, on_complete=stop
    )
    assert stopped[0] in pids
    assert isinstance(results[0], parallel.TaskTimeoutError)
    assert results[1:] == list(range(1, 400))
    assert common.notes(path) == ["0"]


class TestWorkersThatCannotBeReached:
    """The scheduler passes on what is said, as with clusters behind a gateway."""

    def test_results_and_arrays(self, dask_client: distributed.Client) -> None:
        numpy = pytest.importorskip("numpy")
        address = dask_client.scheduler.address
        with distributed.Client(address, direct_to_workers=False) as client:
            assert parallel.cluster_map(abs, range(1000), client) == list(range(1000))
            arrays = [numpy.full(2**17, float(number)) for number in range(4)]
            results = parallel.cluster_map(numpy.negative, arrays, client, on_error="raise")
        for number, result in enumerate(results):
            assert (result == -number).all()

    def test_it_is_tried_again_after_a_minute(
        self, dask_client: distributed.Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tried: list[float] = []
        now = 1000.0

        async def refuse(worker: str, **_: Any) -> None:
            tried.append(now)
            raise OSError

        monkeypatch.setattr(dask_line, "connect", refuse)
        monkeypatch.setattr(dask_line, "monotonic", lambda: now)
        with distributed.Client(dask_client.scheduler.address) as client:
            for now in (1000.0, 1001.0, 1061.0):  # noqa: B007  # `refuse` reads it
                assert parallel.cluster_map(abs, [-1, -2], client, max_workers=1) == [1, 2]
        assert tried == [1000, 1061]

    def test_another_server_at_the_same_address(
        self, dask_client: distributed.Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Addresses behind a gateway may be those of somebody else on this side of it."""
        connect = dask_line.connect
        scheduler = dask_client.scheduler.address

        async def connect_elsewhere(_worker: str, **options: Any) -> Any:
            return await connect(scheduler, **options)

        monkeypatch.setattr(dask_line, "connect", connect_elsewhere)
        monkeypatch.setattr(dask_line, "_REACH_SECONDS", 0.2)
        with distributed.Client(scheduler) as client:
            assert parallel.cluster_map(abs, [-1, -2], client) == [1, 2]

    def test_one_that_dies(self, own_client: distributed.Client, tmp_path: Path) -> None:
        path = str(tmp_path / "runs")
        items = [(path, number, 100) for number in range(200)]
        address = own_client.scheduler.address
        with distributed.Client(address, direct_to_workers=False) as client:
            results = parallel.cluster_map(tasks.dies_at, items, client)
        lost = {n for n, result in enumerate(results) if isinstance(result, Exception)}
        assert 100 in lost
        assert all(isinstance(results[number], parallel.WorkerDiedError) for number in lost)
        started = [int(note) for note in common.notes(path)]
        assert len(started) == len(set(started))
        assert set(range(200)) - lost <= set(started)


def test_the_seats_of_a_process_that_is_gone_end_at_once(
    dask_client: distributed.Client, tmp_path: Path, gate: str
) -> None:
    path = str(tmp_path / "runs")
    code = f"""
import distributed
from metainformant.core import parallel
from tests.backends.clusters import tasks

with distributed.Client({dask_client.scheduler.address!r}) as client:
    parallel.cluster_map(tasks.waits, [({path!r}, {gate!r}, n) for n in range(9)], client)
"""
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=without_coverage())
    with process:
        wait_until(lambda: len(common.notes(path)) == 2)
        process.kill()
    common.open_gate(gate)
    assert dask_client.submit(abs, -1, pure=False).result(timeout=20) == 1  # a seat is free
    assert len(common.notes(path)) == 2


@contextmanager
def cluster_process() -> Iterator[tuple[str, int]]:
    """A scheduler and its workers in another process: its address and its process id."""
    code = (
        "from tests.backends.clusters.support import make_cluster\n"
        "if __name__ == '__main__':\n"
        "    with make_cluster() as cluster:\n"
        "        print(cluster.scheduler_address, flush=True)\n"
        "        input()\n"
    )
    script = ROOT / ".cache" / f"cluster-{os.getpid()}.py"
    script.parent.mkdir(exist_ok=True)
    script.write_text(code)
    process = subprocess.Popen(
        [sys.executable, str(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip(), process.pid
    finally:
        process.kill()
        process.wait()
        script.unlink()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()


def test_a_scheduler_that_is_gone_is_an_error_with_the_results(tmp_path: Path, gate: str) -> None:
    path = str(tmp_path / "runs")
    with cluster_process() as (address, pid), distributed.Client(address, timeout=3) as client:
        items = [("", "", 0), (path, gate, 1), (path, gate, 2)]
        killed: list[float] = []

        def kill() -> None:
            wait_until(lambda: len(common.notes(path)) == 2)
            killed.append(time.monotonic())
            os.kill(pid, signal.SIGKILL)

        thread = threading.Thread(target=kill)
        thread.start()
        with pytest.raises(parallel.ParallelError, match="scheduler can't be reached") as caught:
            parallel.cluster_map(tasks.waits_if, items, client, chunk_size=1)
        assert time.monotonic() - killed[0] < 5
        thread.join()
    results: Any = caught.value.results
    assert results[0] == 0
    assert all(isinstance(result, parallel.ParallelError) for result in results[1:])


def test_a_client_that_is_closed_meanwhile_is_an_error(
    dask_client: distributed.Client, tmp_path: Path, gate: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its event loop ends with it, and with that all that could tell the map of anything."""
    monkeypatch.setattr(loop, "_LOOK_SECONDS", 60.0)
    path = str(tmp_path / "runs")
    client = distributed.Client(dask_client.scheduler.address)
    errors: list[BaseException] = []

    def run() -> None:
        try:
            parallel.cluster_map(tasks.waits_if, [(path, gate, 1)], client, max_workers=1)
        except parallel.ParallelError as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    wait_until(lambda: bool(common.notes(path)))
    client.close()
    thread.join(20)
    assert "connection is closed" in str(*errors)


class TestHandshake:
    def test_other_versions_are_refused_before_anything_runs(
        self, dask_client: distributed.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ours = {**handshake.versions(), "cloudpickle": "0.9"}
        monkeypatch.setattr(handshake, "versions", lambda: ours)
        path = str(tmp_path / "runs")
        with pytest.raises(parallel.ParallelError, match=r"tcp://.* has cloudpickle .*0\.9"):
            parallel.cluster_map(common.noted, [(path, 1)], dask_client)
        assert not common.notes(path)

    @pytest.mark.parametrize(
        ("theirs", "message"),
        [
            ({"python": "3.1"}, "w runs Python 3.1, and this process"),
            ({"metainformant": None}, "w has no metainformant, and this process has"),
            ({"metainformant": "9"}, "w has metainformant 9, and this process"),
            ({}, None),
        ],
    )
    def test_what_is_compared(self, theirs: dict[str, str | None], message: str | None) -> None:
        wrong = handshake.mismatch("w", {**handshake.versions(), **theirs})
        assert (wrong is None) == (message is None)
        assert message is None or message in str(wrong)

    def test_a_function_that_workers_cannot_import_is_named(
        self, dask_client: distributed.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "only_here.py").write_text("def twice(x):\n    return 2 * x\n")
        monkeypatch.syspath_prepend(str(tmp_path))
        import only_here  # type: ignore[import-not-found]

        with pytest.raises(parallel.ParallelError, match=r"func can't be read.*only_here") as info:
            parallel.cluster_map(only_here.twice, [1], dask_client)
        assert "client.upload_file('module.py')" in str(info.value)
        dask_client.upload_file(str(tmp_path / "only_here.py"))
        assert parallel.cluster_map(only_here.twice, [1], dask_client) == [2]


class TestNothingIsLeft:
    def test_on_the_scheduler_after_many_maps(self, dask_client: distributed.Client) -> None:
        for number in range(20):
            options: dict[str, Any] = {"on_error": "raise"} if number % 2 else {}
            with pytest.raises(ValueError, match="odd") if number % 2 else _nothing():
                parallel.cluster_map(common.fail_on_odd, range(10), dask_client, **options)
        wait_until(lambda: not scheduler_tasks(dask_client))

    def test_a_map_that_is_left_starts_nothing_more(
        self, dask_client: distributed.Client, tmp_path: Path
    ) -> None:
        path = str(tmp_path / "runs")
        items = ((path, number) for number in range(10**9))
        with parallel.imap(common.noted, items, backend=dask_client) as results:
            assert next(results) == 0
        wait_until(lambda: not scheduler_tasks(dask_client))
        started = common.notes(path)
        assert dask_client.submit(abs, -1, pure=False).result() == 1  # the seats are free again
        assert common.notes(path) == started
        assert len(started) == len(set(started))

    def test_after_ctrl_c(self, dask_client: distributed.Client, tmp_path: Path, gate: str) -> None:
        path = str(tmp_path / "runs")
        code = f"""
import distributed
from metainformant.core import parallel
from tests.backends.clusters import tasks

with distributed.Client({dask_client.scheduler.address!r}) as client:
    try:
        parallel.cluster_map(tasks.waits, [({path!r}, {gate!r}, n) for n in range(9)], client)
    except KeyboardInterrupt as interrupt:
        print("interrupted", flush=True)
        input()
"""
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=without_coverage(),
        )
        with process:
            wait_until(lambda: len(common.notes(path)) == 2)
            process.send_signal(signal.SIGINT)
            assert process.stdout is not None
            assert process.stdout.readline() == "interrupted\n"
            common.open_gate(gate)
            wait_until(lambda: not scheduler_tasks(dask_client))  # its client is still there
            assert dask_client.submit(abs, -1, pure=False).result() == 1
            assert len(common.notes(path)) == 2
            process.communicate("\n")

    def test_a_deadline_frees_the_workers(
        self, dask_client: distributed.Client, tmp_path: Path, gate: str
    ) -> None:
        items = [(str(tmp_path / "runs"), gate, number) for number in range(4)]
        results = parallel.cluster_map(tasks.waits, items, dask_client, deadline=0.5, chunk_size=1)
        assert all(isinstance(result, parallel.TaskCancelledError) for result in results)
        assert dask_client.submit(abs, -1, pure=False).result() == 1


class TestArguments:
    def test_how_long_to_wait_for_workers(self, dask_client: distributed.Client) -> None:
        wrong: Any
        for wrong, kind in [(0, ValueError), (-1, ValueError), ("60", TypeError)]:
            with pytest.raises(kind, match=r"wait_for_workers=.* must be a number"):
                parallel.cluster_map(abs, [1], dask_client, wait_for_workers=wrong)
        assert parallel.cluster_map(abs, [-1], dask_client, wait_for_workers=None) == [1]

    def test_what_is_no_cluster(self) -> None:
        for wrong in ("spark", "process", 3, None):
            with pytest.raises(ValueError, match=r"must be a distributed\.Client"):
                parallel.cluster_map(abs, [1], wrong)

    def test_the_current_client(self, dask_client: distributed.Client) -> None:
        with dask_client.as_current():
            assert parallel.cluster_map(abs, [-1], "dask") == [1]

    def test_no_current_client(self) -> None:
        code = (
            "from metainformant.core import parallel\n"
            "try:\n    parallel.cluster_map(abs, [1], 'dask')\n"
            "except ValueError as error:\n    print(error)\n"
        )
        text = subprocess.check_output([sys.executable, "-c", code], text=True)
        assert "there is none; make one with distributed.Client" in text

    def test_a_client_that_is_closed(self, own_client: distributed.Client) -> None:
        own_client.close()
        with pytest.raises(ValueError, match="is closed; pass a client that is running"):
            parallel.cluster_map(abs, [1], own_client)

    def test_two_clients_in_one_process(
        self, dask_client: distributed.Client, own_client: distributed.Client
    ) -> None:
        assert parallel.cluster_map(abs, [-1], dask_client) == [1]
        assert parallel.cluster_map(abs, [-1], own_client) == [1]


def test_a_map_resumes(dask_client: distributed.Client, tmp_path: Path) -> None:
    runs, path = str(tmp_path / "runs"), tmp_path / "map.db"
    items = [(runs, number) for number in range(50)]
    for _ in range(2):
        results = parallel.cluster_map(common.noted, items, dask_client, checkpoint=path)
        assert results == list(range(50))
    assert sorted(map(int, common.notes(runs))) == list(range(50))


def test_what_a_script_defines_is_sent(dask_client: distributed.Client) -> None:
    code = f"""
import distributed
from metainformant.core import parallel

class Thing:
    def __init__(self, number):
        self.number = number

def twice(thing):
    return Thing(2 * thing.number)

with distributed.Client({dask_client.scheduler.address!r}) as client:
    things = parallel.cluster_map(twice, [Thing(1), Thing(2)], client, on_error="raise")
    print([thing.number for thing in things], type(things[0]) is Thing)
"""
    text = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert text == "[2, 4] True\n"


def _nothing() -> Any:
    from contextlib import nullcontext

    return nullcontext()


def test_the_examples_of_the_how_to(dask_client: distributed.Client) -> None:
    address = dask_client.scheduler.address
    page = ROOT / "docs" / "howto" / "dask.md"
    run_examples(page, {'Client("tcp://head-node:8786")': f"Client({address!r})"})
