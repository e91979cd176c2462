"""The agents in a worker process of Dask, and the connections over which maps talk to them.

An agent is no task, so the scheduler knows nothing of it and nothing can be run again. Maps connect
to the worker itself where they can reach it. Where they can't, the scheduler passes on calls.
"""

from __future__ import annotations

import asyncio
import logging
import pickle
from typing import Any

from distributed import WorkerPlugin
from distributed.core import Status
from distributed.protocol.serialize import Serialize

from ..ipc.out_of_band import BufferedPickle, load
from .agent import Agent

# Marks what is a frame of its own in a message.
to_serialize: Any = Serialize  # which has no types
# The operations of a worker that are ours.
TALK = "metainformant_talk"
POST = "metainformant_post"
POLL = "metainformant_poll"
# Seconds within which a map that is there reads the last reports.
_READ_SECONDS = 5.0
# Seconds between two looks at whether the worker has begun to close.
_LOOK_SECONDS = 0.1


class AgentHost(WorkerPlugin):  # type: ignore[misc]  # distributed has no types
    """The agents of a worker process, which finish what they are running before it closes.

    A worker closes when it is retired, when its lifetime is over, when its cluster is scaled down,
    and when its nanny is told to end. How long that may take is up to whoever ends it.
    """

    name = "metainformant"

    def __init__(self) -> None:
        # Owned by the worker's event loop:
        self._agents: dict[str, Agent] = {}  # by token
        self._talks: set[asyncio.Task[Any]] = set()
        self._watching: asyncio.Task[None] | None = None

    def setup(self, worker: Any) -> None:
        worker.handlers.update({TALK: self.talk, POST: self.post, POLL: self.poll})

    async def teardown(self, worker: Any) -> None:
        await self._leave()
        if self._watching is not None:
            self._watching.cancel()
        if self._talks:  # the last reports may not have been sent yet
            await asyncio.wait(self._talks, timeout=_READ_SECONDS)

    def open(self, worker: Any, setup: bytes, interval: float) -> bytes:
        self._forget()
        alone = worker.state.nthreads == 1 and worker.nanny is not None
        agent = Agent(worker.address, can_end=alone)
        self._agents[agent.token] = agent
        if self._watching is None or self._watching.done():
            self._watching = asyncio.create_task(self._watch(worker))
        return agent.open(setup, interval)

    async def _watch(self, worker: Any) -> None:
        """Let agents leave when the worker begins to close, as long as there are any.

        It may wait for its nanny, which is closing too, until that kills it; and only then would it
        end its plugins.
        """
        while self._agents:
            if worker.status == Status.closing:
                await self._leave()
                return
            await asyncio.sleep(_LOOK_SECONDS)
            self._forget()

    async def _leave(self) -> None:
        await asyncio.gather(*(agent.leave() for agent in self._agents.values()))

    def _forget(self) -> None:
        """Keep nothing of maps that are over."""
        self._agents = {token: one for token, one in self._agents.items() if not one.is_over}

    # Operations

    async def talk(self, comm: Any, token: str) -> None:
        """Take commands and send reports until the agent has told all, or the map is gone."""
        agent = self._agents.get(token)
        await comm.write([agent is not None])  # a reply, if this is the worker that was meant
        if agent is None:
            return
        talk = asyncio.ensure_future(_talk(comm, agent))
        self._talks.add(talk)
        talk.add_done_callback(self._talks.discard)
        await talk
        self._forget()

    async def post(self, token: str, commands: bytes) -> None:
        self._agent(token).post(token, pickle.loads(commands))

    async def poll(self, token: str) -> Any:
        return to_serialize(pickle.dumps(await self._agent(token).poll(token), 5))

    def _agent(self, token: str) -> Agent:
        agent = self._agents.get(token)
        if agent is None:
            raise ConnectionError("this is another process than the one that was meant")
        return agent


async def _talk(comm: Any, agent: Agent) -> None:
    taking = asyncio.create_task(_take_commands(comm, agent))
    try:
        reports: list[BufferedPickle] | None = []
        while reports is not None:
            reports = await agent.poll(agent.token)
            await comm.write([sendable(reports)])
        await asyncio.wait([taking], timeout=_READ_SECONDS)  # closed by whoever has read all
    except OSError:
        agent.abandon()
    finally:
        taking.cancel()
        await comm.close()


async def _take_commands(comm: Any, agent: Agent) -> None:
    try:
        while True:
            (commands,) = await comm.read()
            agent.post(agent.token, load(commands))
    except OSError:  # the map is gone
        agent.abandon()
    except Exception:
        logging.getLogger("metainformant.parallel").exception("can't obey the commands of a map")
        agent.abandon()
        comm.abort()


async def open_agent(setup: bytes, interval: float, dask_worker: Any) -> bytes:
    """Make an agent in the worker that runs this; return its Hello."""
    if AgentHost.name not in dask_worker.plugins:
        await dask_worker.plugin_add(AgentHost(), name=AgentHost.name)
    host: AgentHost = dask_worker.plugins[AgentHost.name]
    return host.open(dask_worker, setup, interval)


def sendable(message: Any) -> Any:
    """Return a message as Dask sends it with the fewest copies: bytes, or with buffers beside."""
    pickled = BufferedPickle.of(message)
    return to_serialize(pickled) if pickled.buffers else pickled.body
