"""What all clusters that live in an event loop do, without any of their libraries."""

from __future__ import annotations

import asyncio
from typing import Any

from metainformant.core.parallel.backends.clusters.cluster import Broken, Event
from metainformant.core.parallel.backends.clusters.link import AgentLink
from metainformant.core.parallel.backends.clusters.loop import LoopCluster


class ClosedCluster(LoopCluster):
    """A cluster whose library cancels what waits for it when its connection is closed."""

    def __repr__(self) -> str:
        return "a cluster"

    def make_link(self, worker: str, setup: bytes, interval: float) -> AgentLink[Any]:
        raise NotImplementedError

    async def look(self, *, is_first: bool) -> dict[str, int]:
        raise asyncio.CancelledError

    def is_connected(self) -> bool:
        return True

    async def is_there(self) -> bool:
        return False

    def avoid(self, worker: str) -> None:
        raise NotImplementedError


def test_a_look_that_is_cancelled_by_others_ends_no_watch_in_silence() -> None:
    told: list[Event] = []

    async def watch() -> None:
        cluster = ClosedCluster("cluster_map", asyncio.get_running_loop())
        cluster.start(told.append, 1)
        for _ in range(1000):
            await asyncio.sleep(0.001)
            if told:
                return

    asyncio.run(watch())
    assert [type(event) for event in told] == [Broken]


def test_a_loop_that_is_closed_is_noticed() -> None:
    told: list[Event] = []
    loop = asyncio.new_event_loop()
    cluster = ClosedCluster("cluster_map", loop)
    cluster.check()
    loop.close()
    cluster.start(told.append, 1)
    assert told == []
    cluster.check()
    cluster.close()
    assert [type(event) for event in told] == [Broken]
