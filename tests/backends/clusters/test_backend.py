"""What the backend does with the workers of a cluster, without any."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from metainformant.core import parallel
from metainformant.core.parallel.backends.clusters import backend as backend_module
from metainformant.core.parallel.backends.clusters import cluster
from metainformant.core.parallel.backends.clusters.backend import ClusterBackend
from metainformant.core.parallel.calls import Workers, make_call

PATIENCE = 60.0


class FakeLink:
    """A link whose agent answers when a test says so."""

    is_direct = True

    def __init__(self, worker: str) -> None:
        self.worker = worker
        self.name = worker
        self.pid = 0

    def open_seat(self, number: int) -> None: ...
    def post(self, commands: list[Any]) -> None: ...


class FakeCluster:
    """A cluster that lists one worker, which may never come."""

    how_to_send = ""
    thread_seconds = float("inf")
    message_bytes = 2**20

    def __init__(self) -> None:
        self.links: list[FakeLink] = []

    def start(self, tell: Callable[[cluster.Event], object], limit: int) -> None:
        tell(cluster.Workers({"worker": 1}))

    def connect(self, worker: str, setup: bytes, interval: float) -> FakeLink:
        self.links.append(FakeLink(worker))
        return self.links[-1]

    def check(self) -> None: ...
    def close(self) -> None: ...


class Waiting:
    """A map that waits, and how time passes for it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._now = 1000.0
        monkeypatch.setattr(backend_module, "monotonic", lambda: self._now)
        workers = Workers("cluster", 1)
        workers.patience = PATIENCE
        self.cluster = FakeCluster()
        self.backend = ClusterBackend(make_call("cluster_map", abs, workers, {}), self.cluster)

    def go_on(self, seconds: float) -> None:
        self.backend.wait(0)
        self._now += seconds
        self.backend.wait(0)


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> Waiting:
    return Waiting(monkeypatch)


def test_a_worker_that_never_answers_is_none(waiting: Waiting) -> None:
    """As an actor of Ray, when others hold all processors."""
    waiting.backend.spawn()
    waiting.go_on(PATIENCE)
    with pytest.raises(parallel.ParallelError, match="has had no worker for 60 s"):
        waiting.go_on(1)


def test_one_that_has_answered_may_be_busy_for_long(waiting: Waiting) -> None:
    waiting.backend.spawn()
    waiting.go_on(PATIENCE)
    waiting.cluster.links[0].pid = 1
    waiting.go_on(10 * PATIENCE)


def test_a_map_that_has_no_item_yet_needs_none(waiting: Waiting) -> None:
    waiting.go_on(10 * PATIENCE)
    assert not waiting.cluster.links
