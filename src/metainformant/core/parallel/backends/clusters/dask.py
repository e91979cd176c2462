"""Dask as a cluster: a seat is a task that is pinned to its worker, and an agent is beside them.

All coroutines run in the event loop of the client. The scheduler may run a task again whatever one
asks for; a seat that has been taken refuses it, see `agent.py`.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from ...describe import error_in_words
from ...errors import ParallelError
from . import handshake
from .dask_host import open_agent
from .dask_line import line_to
from .link import AgentLink
from .loop import ANSWER_SECONDS, LoopCluster
from .messages import read_hello

if TYPE_CHECKING:
    from .dask_line import DaskLine
    from .messages import Hello


class DaskCluster(LoopCluster):
    """The workers of a Dask client."""

    how_to_send = "client.upload_file('module.py') before the map"
    thread_seconds: float = 0.5  # others may use the worker
    message_bytes: int = 4 * 2**20

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

    def avoid(self, worker: str) -> None:
        self._usable[worker] = False

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


class DaskLink(AgentLink["DaskLine"]):
    """The agent of a map in one worker."""

    def __init__(self, cluster: DaskCluster, worker: str, setup: bytes, interval: float) -> None:
        super().__init__(cluster, worker)
        self._client = cluster.client
        self._setup = setup, interval

    async def make_agent(self) -> tuple[Hello, DaskLine]:
        answers = await self._client.run(open_agent, *self._setup, workers=[self.worker])
        hello = read_hello(answers[self.worker])
        return hello, await line_to(self._client, self.worker, hello.token)

    async def let_go(self) -> None:
        if self.line is not None:
            await self.line.close()


def _logger() -> logging.Logger:
    return logging.getLogger("metainformant.parallel")
