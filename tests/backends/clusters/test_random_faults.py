"""Workers of a Dask cluster that are killed, leave, and are stopped for a while, at random."""

from __future__ import annotations

import logging
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
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

# By default what takes seconds; to look for something rare: PARALLEL_STRESS=200.
EVENTS = int(os.environ.get("PARALLEL_STRESS", "6"))
# What happens, in this order. Whoever is stopped goes on a little later.
KINDS = ("kill", "stop", "retire", "stop", "kill", "leave")
# The longest stop, in seconds: longer than a seat may be silent without being asked for its items.
_LONGEST_STOP = 0.5
# Seconds that items take: a worker that dies costs exactly one of those that take so long.
_LONG = 0.1


class Faults:
    """What happens to workers, one thing after the other, while a map uses them.

    Args:
        client: of the cluster whose workers they are.
        runs: the file in which each item of the map notes which process runs it.
    """

    def __init__(self, client: distributed.Client, runs: str) -> None:
        self.counts: Counter[str] = Counter()
        self.over = threading.Event()
        self._client = client
        self._runs = runs
        self._chance = random.Random(1)

    def run(self) -> None:
        try:
            for number in range(EVENTS):
                self._do(KINDS[number % len(KINDS)])
        finally:
            self.over.set()

    def _do(self, what: str) -> None:
        """Let something happen to a worker that is busy."""
        await_all_workers(self._client)
        nanny = wait_until(self._busy)
        pid, worker = nanny.pid, nanny.worker_address
        time.sleep(self._chance.uniform(0, _LONG))
        self.counts[what] += 1
        if what == "kill":
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda: worker not in self._client.cluster.scheduler.workers)
        elif what == "stop":
            os.kill(pid, signal.SIGSTOP)
            time.sleep(self._chance.uniform(0, _LONGEST_STOP))
            os.kill(pid, signal.SIGCONT)
        elif what == "leave":
            leave(nanny)
        else:
            self._client.retire_workers([worker])

    def _busy(self) -> Any:
        """Return the nanny of a worker that has begun an item lately; None if there is none."""
        before = len(common.notes(self._runs))
        time.sleep(2 * _LONG)
        pids = {int(note.split(":")[1]) for note in common.notes(self._runs)[before:]}
        nannies = [one for one in self._client.cluster.workers.values() if one.pid in pids]
        return self._chance.choice(nannies) if nannies else None


def run(client: distributed.Client, path: str, seconds: float, over: threading.Event) -> list[Any]:
    """Map endless items, until it is over."""

    def items() -> Iterator[tuple[str, int, float]]:
        number = 0
        while not over.is_set():
            yield path, number, seconds
            number += 1

    with parallel.imap(tasks.runs_for, items(), backend=client) as results:
        return list(results)


@pytest.mark.parametrize("seconds", [_LONG, 0.004])
def test_nothing_is_run_twice_and_only_kills_cost_something(seconds: float, tmp_path: Path) -> None:
    path = str(tmp_path / "runs")
    with (
        make_cluster() as cluster,
        distributed.Client(cluster) as client,
        ThreadPoolExecutor() as threads,
    ):
        faults = Faults(client, path)
        running = threads.submit(run, client, path, seconds, faults.over)
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
