"""The connection of a map with its agent in one worker process, kept by an event loop.

What is the same for all kinds of clusters: commands are sent one after the other, and one long poll
brings the reports. How an agent is made, and the line to it once it has answered, is up to each.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from ...describe import error_in_words
from ...errors import ParallelError
from ..ipc.out_of_band import BufferedPickle
from .cluster import Broken, Lost, Received

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from .cluster import Event
    from .messages import Command, Hello
    from .starts import Starts

    class LinkOwner(Protocol):
        """The cluster of a link."""

        caller: str
        starts: Starts

        def run(self, coroutine: Coroutine[Any, Any, None]) -> None: ...
        def tell(self, event: Event) -> None: ...
        def tell_gone(self) -> None: ...
        async def is_there(self) -> bool: ...

        def refuse(self, link: Any, error: Exception) -> None: ...


# Seconds that letting go may take, while workers end their seats.
_CLOSE_SECONDS = 5.0


class UnusableWorkerError(Exception):
    """A worker must not be asked for again, though the map may have others."""


class Line(Protocol):
    """A way to an agent that has answered. Owned by the event loop; whatever fails raises."""

    @property
    def is_direct(self) -> bool:
        """Whether it ends when the process of the agent does."""
        ...

    async def open_seat(self, number: int) -> None:
        """Let a thread of the worker call `agent.run_seat`, once it has one."""

    async def send(self, commands: BufferedPickle) -> None:
        """Send commands, and wait until the agent has taken them, or is certain to."""

    async def receive(self) -> list[BufferedPickle] | None:
        """Wait for reports; None when all is over."""
        ...


LineT = TypeVar("LineT", bound=Line)


class AgentLink(ABC, Generic[LineT]):
    """An agent in a worker. Owned by the event loop, except what the map's thread calls.

    Attributes:
        line: the way to the agent; None before that has answered.
        is_settled: whether the agent has said that all its seats have ended.
    """

    def __init__(self, cluster: LinkOwner, worker: str) -> None:
        self.worker = worker
        self.name: str = worker
        self.pid: int = 0
        self.task: asyncio.Task[None] | None = None
        self.line: LineT | None = None
        self.is_settled: bool = False
        self._cluster = cluster
        self._numbers: list[int] = []  # of seats that wait for the agent
        self._posts: list[BufferedPickle] = []
        self._is_posting = False
        self._begun = 0  # what `Starts` wants to know of it
        self._is_over = False

    # The map's thread

    @property
    def is_direct(self) -> bool:
        return self.line is not None and self.line.is_direct

    @property
    def is_over(self) -> bool:
        """Whether nothing more is sent or told."""
        return self._is_over

    def open_seat(self, number: int) -> None:
        self._cluster.run(self._open_seat(number))

    def post(self, commands: list[Command]) -> None:
        self._cluster.run(self._post(BufferedPickle.of(commands)))

    # The event loop

    async def talk(self) -> None:
        """Make the agent, and pass on what it reports, until all is over."""
        cluster = self._cluster
        try:
            line = await self._open()
            while not self._is_over:
                reports = await line.receive()
                if reports is None:  # the map has asked for that, or was not heard of for long
                    self.is_settled = True
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
        """Let go of the worker, once it has been told and its seats have ended.

        An agent that is still being made would otherwise wait for long for somebody to ask it.
        """
        self._numbers.clear()
        if self.task is not None and self.will_answer:
            await asyncio.wait([self.task], timeout=_CLOSE_SECONDS)
        self._is_over = True
        if self.task is not None:
            self.task.cancel()
        await self.let_go()

    async def _open(self) -> LineT:
        self._begun = self._cluster.starts.begin()
        hello, line = await self.make_agent()
        self._cluster.starts.succeeded()
        self.line, self.name, self.pid = line, hello.worker, hello.pid
        await self._send_posts(line)
        for number in self._numbers:
            await self._open_seat(number)
        return line

    async def _open_seat(self, number: int) -> None:
        if self._is_over:
            return
        if self.line is None:
            self._numbers.append(number)
            return
        try:
            await self.line.open_seat(number)
        except Exception as error:
            await self._lose(error)

    async def _post(self, commands: BufferedPickle) -> None:
        self._posts.append(commands)
        if self.line is not None and not self._is_posting:
            await self._send_posts(self.line)

    async def _send_posts(self, line: LineT) -> None:
        """Send what there is, one after the other: two calls may overtake each other."""
        self._is_posting = True
        try:
            while self._posts and not self._is_over:
                posts, self._posts = self._posts, []
                for commands in posts:
                    await line.send(commands)
        except Exception as error:
            await self._lose(error)
        finally:
            self._is_posting = False

    async def _lose(self, error: Exception) -> None:
        if self._is_over:
            return
        self._is_over = True
        cluster = self._cluster
        if not await cluster.is_there():
            cluster.tell_gone()
            return
        if isinstance(error, UnusableWorkerError) or (
            self.line is None and cluster.starts.failed(self._begun)
        ):
            cluster.refuse(self, error)
        cluster.tell(Lost(self, f"was lost: {self.in_words(error)}"))

    # For each kind of cluster

    @abstractmethod
    async def make_agent(self) -> tuple[Hello, LineT]:
        """Make the agent; return its answer and the way to it. ParallelError ends the map."""

    @abstractmethod
    async def let_go(self) -> None:
        """Let nothing stay in the cluster."""

    @property
    def will_answer(self) -> bool:
        """Whether the agent has answered, or is certain to do so at once."""
        return True

    def in_words(self, error: Exception) -> str:
        """Say why the worker was lost."""
        return error_in_words(error)
