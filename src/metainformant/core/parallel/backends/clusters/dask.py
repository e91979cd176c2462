"""Dask as a cluster: an agent is an actor, and a seat a task that is pinned to its worker.

All coroutines run in the event loop of the client. The scheduler may run a task again whatever one
asks for; a seat that has been taken refuses it, see `agent.py`.
"""

from __future__ import annotations

import asyncio
import logging
import pickle
from typing import TYPE_CHECKING, Any

from distributed import WorkerPlugin, get_worker

from ...describe import error_in_words
from ...errors import ParallelError
from . import handshake
from .agent import Agent, run_seat
from .link import AgentLink
from .loop import ANSWER_SECONDS, LoopCluster

if TYPE_CHECKING:
    from ..ipc.out_of_band import BufferedPickle
    from .messages import Hello


class Farewell(WorkerPlugin):  # type: ignore[misc]  # distributed has no types
    """The agents of a worker process, which finish what they are running before it closes.

    A worker closes when its lifetime is over, when its cluster is scaled down, and when its nanny
    is told to end. How long that may take is up to whoever ends it.
    """

    name = "metainformant"

    def __init__(self) -> None:
        self._agents: list[Agent] = []

    @classmethod
    async def of(cls, worker: Any) -> Farewell:
        """Return that of a worker, which is made for the first of its agents."""
        if cls.name not in worker.plugins:
            await worker.plugin_add(cls(), name=cls.name)
        farewell: Farewell = worker.plugins[cls.name]
        return farewell

    def add(self, agent: Agent) -> None:
        self._agents = [*(known for known in self._agents if not known.is_over), agent]

    async def teardown(self, worker: Any) -> None:
        await asyncio.gather(*(agent.leave() for agent in self._agents))


class DaskAgent:
    """The agent of a map in a worker process: what an actor runs in the worker's event loop."""

    def __init__(self) -> None:
        self._agent: Agent | None = None

    async def open(self, setup: bytes, interval: float) -> bytes:
        worker = get_worker()
        alone = worker.state.nthreads == 1 and worker.nanny is not None
        self._agent = Agent(worker.address, can_end=alone)
        (await Farewell.of(worker)).add(self._agent)
        return self._agent.open(setup, interval)

    # Messages are sent as bytes: what Dask does with buffers that are out of band has crashed.

    async def post(self, token: str, commands: bytes) -> None:
        self._opened().post(token, pickle.loads(commands))

    async def poll(self, token: str) -> bytes:
        return pickle.dumps(await self._opened().poll(token), 5)

    def _opened(self) -> Agent:
        if self._agent is None:
            raise ConnectionError("this is another process than the one that was meant")
        return self._agent


class DaskCluster(LoopCluster):
    """The workers of a Dask client."""

    how_to_send = "client.upload_file('module.py') before the map"
    thread_seconds: float = 0.5  # others may use the worker

    def __init__(self, client: Any, caller: str) -> None:
        super().__init__(caller, client.loop.asyncio_loop)
        self.client = client
        # Owned by the event loop:
        self._usable: dict[str, bool] = {}  # of the workers that were asked for their versions
        self._refusal: ParallelError | None = None  # why nothing may be run

    def __repr__(self) -> str:
        return repr(self.client)

    def make_link(self, worker: str, setup: bytes, interval: float) -> DaskLink:
        return DaskLink(self, worker, setup, interval)

    def is_connected(self) -> bool:
        return bool(self.client.status == "running")

    async def is_there(self) -> bool:
        if not self.is_connected():
            return False
        try:
            await asyncio.wait_for(self.client.nthreads(), ANSWER_SECONDS)
        except Exception:
            return False
        return self.is_connected()

    async def look(self, *, is_first: bool) -> dict[str, int]:
        """Return the workers that can be used; check those that are new."""
        threads: dict[str, int] = await self.client.nthreads()
        known = sum(worker in threads for worker in self._usable)
        new = [worker for worker in threads if worker not in self._usable]
        checks = []
        for worker in new[: max(0, self.limit - known)]:
            self._usable[worker] = False  # until it has answered
            checks.append(asyncio.create_task(self._check(worker, is_first=is_first)))
        if checks:  # one that has just died answers late, and keeps nobody waiting
            await asyncio.wait(checks, timeout=ANSWER_SECONDS)
        if self._refusal is not None:
            raise self._refusal
        return {worker: count for worker, count in threads.items() if self._usable.get(worker)}

    async def _check(self, worker: str, *, is_first: bool) -> None:
        """Find out whether a worker can be used."""
        try:
            answers = await self.client.run(eval, handshake.QUESTION, workers=[worker])
            wrong = handshake.mismatch(worker, answers[worker])
        except OSError:  # it is gone, or will be asked again
            self._usable.pop(worker, None)
            return
        except Exception as error:
            wrong = f"the worker {worker} can't be asked for versions: {error_in_words(error)}"
        self._usable[worker] = wrong is None
        if wrong is not None and is_first:
            self._refusal = ParallelError(f"{self.caller}: {wrong}")
        elif wrong is not None:
            _logger().warning("%s: not used: %s", self.caller, wrong)


class DaskLink(AgentLink):
    """The agent of a map in one worker, as an actor."""

    def __init__(self, cluster: DaskCluster, worker: str, setup: bytes, interval: float) -> None:
        super().__init__(cluster, worker)
        self._client = cluster.client
        self._setup = setup, interval
        self._actor: Any = None
        self._agent: Any = None
        self._seats: list[Any] = []  # futures of the pinned tasks

    async def make_agent(self) -> Hello:
        self._actor = self._pinned(DaskAgent, actor=True)
        with self._client.as_current():  # an actor belongs to the client that is current
            self._agent = await self._actor
        hello: Hello = pickle.loads(await self._agent.open(*self._setup))
        return hello

    async def run_seat(self, token: str, number: int) -> None:
        self._seats.append(self._pinned(run_seat, token, number))

    async def send(self, token: str, commands: BufferedPickle) -> None:
        await self._agent.post(token, pickle.dumps(commands, 5))

    async def poll(self, token: str) -> list[BufferedPickle] | None:
        reports: list[BufferedPickle] | None = pickle.loads(await self._agent.poll(token))
        return reports

    async def let_go(self, *, is_settled: bool) -> None:
        futures = [future for future in [*self._seats, self._actor] if future is not None]
        self._seats.clear()
        self._actor = self._agent = None
        try:  # releasing them is not enough: the actor has a future of its own
            await self._client.cancel(futures)
        except Exception:
            return  # the scheduler is gone, and with it all that was there

    def _pinned(self, func: Any, *arguments: Any, actor: bool = False) -> Any:
        return self._client.submit(
            func,
            *arguments,
            workers=[self.worker],
            allow_other_workers=False,
            pure=False,
            retries=0,
            actor=actor,
        )


def _logger() -> logging.Logger:
    return logging.getLogger("metainformant.parallel")
