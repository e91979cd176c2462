"""Dask as a cluster: an agent is an actor, and a seat a task that is pinned to its worker.

All coroutines run in the event loop of the client. The scheduler may run a task again whatever one
asks for; a seat that has been taken refuses it, see `agent.py`.
"""

from __future__ import annotations

import asyncio
import logging
import pickle
from typing import TYPE_CHECKING, Any

from distributed import get_worker

from ...describe import error_in_words
from ...errors import ParallelError
from . import handshake
from .agent import Agent, run_seat
from .cluster import Broken, Lost, Received, Workers
from .messages import Hello

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from .cluster import Event

# Seconds between two looks at which workers there are.
_LOOK_SECONDS = 0.5
# Seconds within which a scheduler that is there answers.
_ANSWER_SECONDS = 2.0
# Seconds that letting go may take, while workers end their seats.
_CLOSE_SECONDS = 5.0


class DaskAgent:
    """The agent of a map in a worker process: what an actor runs in the worker's event loop."""

    def __init__(self) -> None:
        self._agent: Agent | None = None

    async def open(self, setup: bytes) -> bytes:
        worker = get_worker()
        alone = worker.state.nthreads == 1 and worker.nanny is not None
        self._agent = Agent(worker.address, can_end=alone)
        return self._agent.open(setup)

    async def post(self, token: str, commands: bytes) -> None:
        self._opened().post(token, commands)

    async def poll(self, token: str) -> list[bytes] | None:
        return await self._opened().poll(token)

    def _opened(self) -> Agent:
        if self._agent is None:
            raise ConnectionError("this is another process than the one that was meant")
        return self._agent


class DaskCluster:
    """The workers of a Dask client."""

    def __init__(self, client: Any, caller: str) -> None:
        self.client = client
        self._caller = caller
        self._loop: asyncio.AbstractEventLoop = client.loop.asyncio_loop
        self._tell: Callable[[Event], object] = _ignore
        self._limit = 0
        # Owned by the event loop:
        self._links: list[DaskLink] = []
        self._watching: asyncio.Task[None] | None = None
        self._usable: dict[str, bool] = {}  # of the workers that were asked for their versions
        self._refusal: ParallelError | None = None  # why nothing may be run
        self._is_closed = False

    def start(self, tell: Callable[[Event], object], limit: int) -> None:
        self._tell = tell
        self._limit = limit
        self.run(self._start())

    def connect(self, worker: str, setup: bytes) -> DaskLink:
        link = DaskLink(self, worker, setup)
        self.run(self._add(link))
        return link

    def close(self) -> None:
        self.run(self._close())

    def run(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Start a coroutine in the event loop; any thread may call this."""
        try:
            asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        except RuntimeError:  # the client is closed
            coroutine.close()
            self._tell(Broken(self._gone("the client is closed")))

    # The event loop

    def tell(self, event: Event) -> None:
        if not self._is_closed:
            self._tell(event)

    async def is_there(self) -> bool:
        """Return whether the scheduler answers."""
        if self.client.status != "running":
            return False
        try:
            await asyncio.wait_for(self.client.nthreads(), _ANSWER_SECONDS)
        except Exception:
            return False
        return bool(self.client.status == "running")

    def tell_gone(self) -> None:
        self.tell(Broken(self._gone("the scheduler can't be reached")))

    def _gone(self, why: str) -> ParallelError:
        return ParallelError(
            f"{self._caller}: {why}: {self.client!r}. What was finished before is in `results`; "
            "with checkpoint= the same call goes on with the rest"
        )

    async def _start(self) -> None:
        self._watching = asyncio.create_task(self._watch())

    async def _add(self, link: DaskLink) -> None:
        self._links.append(link)
        link.task = asyncio.create_task(link.talk())

    async def _close(self) -> None:
        self._is_closed = True
        if self._watching is not None:
            self._watching.cancel()
        if self._links:
            await asyncio.wait([asyncio.create_task(link.close()) for link in self._links])
        self._links.clear()

    async def _watch(self) -> None:
        """Tell from time to time which workers there are, until the map is over."""
        told: dict[str, int] | None = None
        while True:
            look = asyncio.create_task(self._look(is_first=told is None))
            while not look.done():
                await asyncio.wait([look], timeout=_LOOK_SECONDS)
                if self.client.status != "running":
                    look.cancel()
                    self.tell_gone()
                    return
            try:
                threads = look.result()
            except ParallelError as error:
                self.tell(Broken(error))
                return
            except Exception:
                if not await self.is_there():
                    self.tell_gone()
                    return
                threads = told or {}
            told = threads
            self.tell(Workers(threads))
            await asyncio.sleep(_LOOK_SECONDS)

    async def _look(self, *, is_first: bool) -> dict[str, int]:
        """Return the workers that can be used; check those that are new."""
        threads: dict[str, int] = await self.client.nthreads()
        known = sum(worker in threads for worker in self._usable)
        new = [worker for worker in threads if worker not in self._usable]
        checks = []
        for worker in new[: max(0, self._limit - known)]:
            self._usable[worker] = False  # until it has answered
            checks.append(asyncio.create_task(self._check(worker, is_first=is_first)))
        if checks:  # one that has just died answers late, and keeps nobody waiting
            await asyncio.wait(checks, timeout=_ANSWER_SECONDS)
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
            self._refusal = ParallelError(f"{self._caller}: {wrong}")
        elif wrong is not None:
            _logger().warning("%s: not used: %s", self._caller, wrong)


class DaskLink:
    """The agent of a map in one worker, as an actor. Owned by the event loop, except `post`."""

    def __init__(self, cluster: DaskCluster, worker: str, setup: bytes) -> None:
        self.worker = worker
        self.pid = 0
        self.task: asyncio.Task[None] | None = None
        self._cluster = cluster
        self._setup = setup
        self._token = ""
        self._actor: Any = None
        self._agent: Any = None
        self._numbers: list[int] = []  # of seats that wait for the agent
        self._seats: list[Any] = []  # futures of the pinned tasks
        self._posts: list[bytes] = []
        self._is_posting = False
        self._is_over = False

    # The map's thread

    def open_seat(self, number: int) -> None:
        self._cluster.run(self._open_seat(number))

    def post(self, commands: bytes) -> None:
        self._cluster.run(self._post(commands))

    # The event loop

    async def talk(self) -> None:
        """Make the agent, and pass on what it reports, until all is over."""
        cluster = self._cluster
        try:
            await self._open()
            while not self._is_over:
                reports = await self._agent.poll(self._token)
                if reports is None:  # the map has asked for that, or was not heard of for long
                    cluster.tell(Lost(self, "has ended all that it did for this map"))
                    break
                cluster.tell(Received(self, reports))
        except asyncio.CancelledError:
            raise
        except ParallelError as error:
            cluster.tell(Broken(error))
        except Exception as error:
            await self._lose(error)
        self._is_over = True

    async def close(self) -> None:
        """Let go of the worker, once it has been told and its seats have ended."""
        if self.task is not None and self._token:
            await asyncio.wait([self.task], timeout=_CLOSE_SECONDS)
        self._is_over = True
        if self.task is not None:
            self.task.cancel()
        futures = [future for future in [*self._seats, self._actor] if future is not None]
        self._seats.clear()
        self._actor = self._agent = None
        try:  # releasing them is not enough: the actor has a future of its own
            await self._cluster.client.cancel(futures)
        except Exception:
            return  # the scheduler is gone, and with it all that was there

    async def _open(self) -> None:
        cluster = self._cluster
        self._actor = self._pinned(DaskAgent, actor=True)
        with cluster.client.as_current():  # an actor belongs to the client that is current
            self._agent = await self._actor
        hello: Hello = pickle.loads(await self._agent.open(self._setup))
        if hello.problem:
            raise ParallelError(f"{hello.problem} (worker {self.worker})")
        self._token, self.pid = hello.token, hello.pid
        await self._send_posts()
        for number in self._numbers:
            await self._open_seat(number)

    async def _open_seat(self, number: int) -> None:
        if self._is_over:
            return
        if not self._token:
            self._numbers.append(number)
            return
        self._seats.append(self._pinned(run_seat, self._token, number))

    async def _post(self, commands: bytes) -> None:
        self._posts.append(commands)
        if self._token and not self._is_posting:
            await self._send_posts()

    async def _send_posts(self) -> None:
        """Send what there is, one after the other: two calls may overtake each other."""
        self._is_posting = True
        try:
            while self._posts and not self._is_over:
                posts, self._posts = self._posts, []
                for commands in posts:
                    await self._agent.post(self._token, commands)
        except Exception as error:
            await self._lose(error)
        finally:
            self._is_posting = False

    async def _lose(self, error: Exception) -> None:
        if self._is_over:
            return
        self._is_over = True
        if await self._cluster.is_there():
            self._cluster.tell(Lost(self, f"was lost: {error_in_words(error)}"))
        else:
            self._cluster.tell_gone()

    def _pinned(self, func: Any, *arguments: Any, actor: bool = False) -> Any:
        return self._cluster.client.submit(
            func,
            *arguments,
            workers=[self.worker],
            allow_other_workers=False,
            pure=False,
            retries=0,
            actor=actor,
        )


def _ignore(event: Event) -> None:
    pass


def _logger() -> logging.Logger:
    return logging.getLogger("metainformant.parallel")
