"""How agents are asked for and let go of, without any cluster."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from metainformant.core import parallel
from metainformant.core.parallel.backends.clusters.cluster import Broken, Event, Lost
from metainformant.core.parallel.backends.clusters.link import AgentLink, UnusableWorkerError
from metainformant.core.parallel.backends.clusters.loop import LoopCluster
from metainformant.core.parallel.backends.clusters.messages import Hello, Stop
from metainformant.core.parallel.backends.clusters.starts import MOST_FAILURES
from metainformant.core.parallel.backends.ipc.out_of_band import BufferedPickle

# Makes an agent in the worker of that name, or fails.
Make = Callable[[str], Awaitable[None]]


class FakeLine:
    """A way to an agent that ends as soon as it is told to."""

    is_direct = True

    def __init__(self) -> None:
        self.taken: list[Any] = []
        self.seats: list[int] = []
        self._is_stopped = asyncio.Event()

    async def open_seat(self, number: int) -> None:
        self.seats.append(number)

    async def send(self, commands: BufferedPickle) -> None:
        self.taken += commands.load()
        if Stop() in self.taken:
            self._is_stopped.set()

    async def receive(self) -> list[BufferedPickle] | None:
        await self._is_stopped.wait()
        return None


class FakeLink(AgentLink[FakeLine]):
    """A link whose agent is made as a test says."""

    will_answer = True

    def __init__(self, cluster: FakeCluster, worker: str) -> None:
        super().__init__(cluster, worker)
        self._make = cluster.make
        self.is_let_go = False

    async def make_agent(self) -> tuple[Hello, FakeLine]:
        await self._make(self.worker)
        return Hello("token", self.worker, 1, ""), FakeLine()

    async def let_go(self) -> None:
        self.is_let_go = True


class FakeCluster(LoopCluster):
    """A cluster that is always there."""

    def __init__(self, make: Make) -> None:
        super().__init__("cluster_map", asyncio.get_running_loop())
        self.make = make
        self.events: list[Event] = []
        self.avoided: list[str] = []
        self._tell = self.events.append

    def __repr__(self) -> str:
        return "a cluster"

    def make_link(self, worker: str, setup: bytes, interval: float) -> FakeLink:
        return FakeLink(self, worker)

    async def look(self, *, is_first: bool) -> dict[str, int]:
        return {}

    def is_connected(self) -> bool:
        return True

    async def is_there(self) -> bool:
        return True

    def avoid(self, worker: str) -> None:
        self.avoided.append(worker)

    def connect_some(self, *workers: str) -> list[FakeLink]:
        links = [self.connect(worker, b"", 0.0) for worker in workers]
        assert all(isinstance(link, FakeLink) for link in links)
        return links  # type: ignore[return-value]

    def kinds(self) -> list[type[Event]]:
        return [type(event) for event in self.events]


async def passes() -> None:
    """Let everything happen that needs no time."""
    for _ in range(50):
        await asyncio.sleep(0)


async def fail(worker: str) -> None:
    await asyncio.sleep(0)  # as workers answer later than they are asked
    raise OSError(f"{worker} is no good")


class TestAgentsThatCannotBeMade:
    def test_the_map_ends_with_the_last_cause(self) -> None:
        async def run() -> None:
            cluster = FakeCluster(fail)
            for number in range(MOST_FAILURES):
                assert Broken not in cluster.kinds()
                cluster.connect_some(f"worker {number}")
                await passes()
            broken = next(event for event in cluster.events if isinstance(event, Broken))
            last = f"worker {MOST_FAILURES - 1}"
            assert f"{last}: OSError: {last} is no good" in str(broken.error)
            assert isinstance(broken.error, parallel.ParallelError)
            assert isinstance(broken.error.__cause__, OSError)
            assert cluster.kinds().count(Lost) == MOST_FAILURES

        asyncio.run(run())

    def test_many_that_fail_at_a_time_count_once(self) -> None:
        async def run() -> None:
            cluster = FakeCluster(fail)
            for _ in range(MOST_FAILURES - 1):
                cluster.connect_some(*"abcdefgh")
                await passes()
            assert set(cluster.kinds()) == {Lost}
            cluster.connect_some(*"abcdefgh")
            await passes()
            assert cluster.kinds().count(Broken) == 1

        asyncio.run(run())

    def test_one_that_is_made_forgives_those_before(self) -> None:
        async def run() -> None:
            good = {f"worker {number}" for number in range(1, 20, 2)}

            async def make(worker: str) -> None:
                if worker not in good:
                    await fail(worker)

            cluster = FakeCluster(make)
            for number in range(20):
                cluster.connect_some(f"worker {number}")
                await passes()
            assert set(cluster.kinds()) == {Lost}
            assert not cluster.avoided

        asyncio.run(run())

    def test_others_go_on_without_it(self, caplog: pytest.LogCaptureFixture) -> None:
        async def run() -> None:
            async def make(worker: str) -> None:
                if worker == "bad":
                    await fail(worker)

            cluster = FakeCluster(make)
            cluster.connect_some("good")
            await passes()
            for _ in range(MOST_FAILURES):
                assert not cluster.avoided
                cluster.connect_some("bad")
                await passes()
            assert cluster.avoided == ["bad"]
            assert set(cluster.kinds()) == {Lost}

        with caplog.at_level(logging.WARNING):
            asyncio.run(run())
        assert "cluster_map: bad: not used: OSError: bad is no good" in caplog.text

    def test_one_that_must_not_be_used_is_not_asked_again(self) -> None:
        async def run() -> None:
            async def make(worker: str) -> None:
                if worker == "old":
                    raise UnusableWorkerError("has another version")

            cluster = FakeCluster(make)
            cluster.connect_some("good", "old")
            await passes()
            assert cluster.avoided == ["old"]

        asyncio.run(run())


class TestTheEndOfAMap:
    def test_an_agent_that_is_just_being_made_is_told_to_stop(self) -> None:
        async def run() -> None:
            begin, made = asyncio.Event(), asyncio.Event()

            async def make(_worker: str) -> None:
                begin.set()
                await made.wait()

            cluster = FakeCluster(make)
            (link,) = cluster.connect_some("worker")
            link.open_seat(1)
            await begin.wait()
            link.post([Stop()])
            cluster.close()
            await passes()
            assert not link.is_let_go
            made.set()
            await passes()
            assert link.line is not None
            assert link.line.taken == [Stop()]
            assert link.line.seats == []
            assert link.is_settled
            assert link.is_let_go

        asyncio.run(run())

    def test_one_that_may_never_answer_is_not_waited_for(self) -> None:
        async def run() -> None:
            async def make(_worker: str) -> None:
                await asyncio.Event().wait()

            cluster = FakeCluster(make)
            (link,) = cluster.connect_some("worker")
            link.will_answer = False
            await passes()
            cluster.close()
            await passes()
            assert link.is_let_go

        asyncio.run(run())
