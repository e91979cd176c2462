"""Workers of clusters that are killed, leave, and are stopped for a while, at random."""

from __future__ import annotations

import logging
import os
import random
import signal
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from metainformant.core import parallel
from tests.backends import tasks as common
from tests.support import wait_until

from . import tasks

if not TYPE_CHECKING:
    pytest.importorskip("distributed", reason="not there for builds without the GIL")
import distributed

from .support import await_all_workers, leave, make_cluster

# To look for something rare: PARALLEL_STRESS=200. By default each kind of event once or twice.
EVENTS = int(os.environ.get("PARALLEL_STRESS", "0"))
# The longest stop, in seconds: longer than a seat may be silent without being asked for its items.
_LONGEST_STOP = 0.5
# Seconds that items take: a worker that dies costs exactly one of those that take so long.
_LONG = 0.1


class Faults(ABC):
    """What happens to workers, one thing after the other, while a map uses them.

    Args:
        runs: the file in which each item of the map notes which process runs it.

    Attributes:
        kinds: what happens, in this order. Whoever is stopped goes on a little later.
    """

    kinds: tuple[str, ...]

    def __init__(self, runs: str) -> None:
        self.counts: Counter[str] = Counter()
        self.over = threading.Event()
        self.chance = random.Random(1)
        self._runs = runs

    def run(self) -> None:
        try:
            for number in range(EVENTS or len(self.kinds)):
                self.prepare()
                pid = wait_until(self._busy)
                time.sleep(self.chance.uniform(0, _LONG))
                what = self.kinds[number % len(self.kinds)]
                self.counts[what] += 1
                self.do(what, pid)
        finally:
            self.over.set()

    def _busy(self) -> int:
        """Return a process that has begun an item lately; 0 if there is none."""
        before = len(common.notes(self._runs))
        time.sleep(2 * _LONG)
        pids = {int(note.split(":")[1]) for note in common.notes(self._runs)[before:]}
        there = sorted(pid for pid in pids if self.is_there(pid))
        return self.chance.choice(there) if there else 0

    def stop(self, pid: int) -> None:
        os.kill(pid, signal.SIGSTOP)
        time.sleep(self.chance.uniform(0, _LONGEST_STOP))
        os.kill(pid, signal.SIGCONT)

    def prepare(self) -> None:  # noqa: B027  # not all need it
        """Wait until something may happen."""

    @abstractmethod
    def is_there(self, pid: int) -> bool: ...

    @abstractmethod
    def do(self, what: str, pid: int) -> None:
        """Let something happen to a worker that is busy."""


class DaskFaults(Faults):
    """What happens to workers of Dask."""

    kinds = ("kill", "stop", "retire", "stop", "kill", "leave")

    def __init__(self, runs: str, client: distributed.Client) -> None:
        super().__init__(runs)
        self._client = client

    def prepare(self) -> None:
        await_all_workers(self._client)

    def is_there(self, pid: int) -> bool:
        return self._nanny(pid) is not None

    def _nanny(self, pid: int) -> Any:
        nannies: Any = self._client.cluster.workers
        return next((one for one in nannies.values() if one.pid == pid), None)

    def do(self, what: str, pid: int) -> None:
        nanny = self._nanny(pid)
        worker = nanny.worker_address
        if what == "kill":
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda: worker not in self._client.cluster.scheduler.workers)
        elif what == "stop":
            self.stop(pid)
        elif what == "leave":
            leave(nanny)
        else:
            self._client.retire_workers([worker])


class RayFaults(Faults):
    """What happens to actors of Ray. Nobody asks them to leave."""

    kinds = ("kill", "stop", "kill")

    def is_there(self, pid: int) -> bool:
        return os.path.exists(f"/proc/{pid}")

    def do(self, what: str, pid: int) -> None:
        if what == "kill":
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda: not self.is_there(pid))
        else:
            self.stop(pid)


def run(backend: Any, path: str, seconds: float, over: threading.Event) -> list[Any]:
    """Map endless items, until it is over."""

    def items() -> Iterator[tuple[str, int, float]]:
        number = 0
        while not over.is_set():
            yield path, number, seconds
            number += 1

    with parallel.imap(tasks.runs_for, items(), backend=backend) as results:
        return list(results)


def check(faults: Faults, backend: Any, path: str, seconds: float) -> None:
    """Check that nothing is run twice, and that only kills cost something."""
    with ThreadPoolExecutor() as threads:
        running = threads.submit(run, backend, path, seconds, faults.over)
        faults.run()
        results = running.result()
    started = [int(note.split(":")[0]) for note in common.notes(path)]
    ended = set(map(int, common.notes(f"{path}-ended")))
    lost = {n for n, result in enumerate(results) if isinstance(result, Exception)}
    assert all(isinstance(results[number], parallel.WorkerDiedError) for number in lost)
    assert all(results[number].may_have_run for number in lost)
    assert all(result == n for n, result in enumerate(results) if n not in lost)
    assert len(started) == len(set(started)), "an item was run twice"
    assert set(range(len(results))) - lost <= ended
    assert set(started) - ended <= lost
    if seconds >= _LONG:
        assert len(lost) <= faults.counts["kill"]  # fewer, if one was killed between two items
    logging.getLogger(__name__).info("%s cost %d of %d", faults.counts, len(lost), len(results))


@pytest.mark.parametrize("seconds", [_LONG, 0.004])
def test_workers_of_dask(seconds: float, tmp_path: Path) -> None:
    path = str(tmp_path / "runs")
    with make_cluster() as cluster, distributed.Client(cluster) as client:
        check(DaskFaults(path, client), client, path, seconds)


@pytest.mark.ray
@pytest.mark.skipif(find_spec("ray") is None, reason="ray is not there for all builds")
@pytest.mark.parametrize("seconds", [_LONG, 0.004])
def test_actors_of_ray(seconds: float, tmp_path: Path, ray_cluster: str) -> None:
    path = str(tmp_path / "runs")
    check(RayFaults(path), ray_cluster, path, seconds)
