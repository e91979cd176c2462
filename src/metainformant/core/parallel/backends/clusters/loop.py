"""A cluster that is talked to from an event loop: what is the same for all kinds."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from ...errors import ParallelError
from .cluster import Broken, Lost, Workers
from .starts import MOST_FAILURES, Starts

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from .cluster import Event
    from .link import AgentLink

# Seconds between two looks at which workers there are.
_LOOK_SECONDS = 0.5
# Seconds within which a cluster that is there answers.
ANSWER_SECONDS = 2.0


class LoopCluster(ABC):
    """The workers of a cluster, for one map.

    Args:
        caller: name of the public function, for messages.
        loop: where all coroutines run.
    """

    how_to_send: str
    thread_seconds: float
    message_bytes: int

    def __init__(self, caller: str, loop: asyncio.AbstractEventLoop) -> None:
        self.caller = caller
        self._loop = loop
        self._tell: Callable[[Event], object] = _ignore
        # Owned by the event loop:
        self._links: list[AgentLink[Any]] = []
        self.starts: Starts = Starts()
        self._watching: asyncio.Task[None] | None = None
        self._is_closed = False
        self.limit: int = 0

    def start(self, tell: Callable[[Event], object], limit: int) -> None:
        self._tell = tell
        self.limit = limit
        self.run(self._start())

    def connect(self, worker: str, setup: bytes, interval: float) -> AgentLink[Any]:
        link = self.make_link(worker, setup, interval)
        self.run(self._add(link))
        return link

    def check(self) -> None:
        if self._loop.is_closed():  # with the client; what ran in it could tell nothing any more
            self._tell(Broken(self._gone("the connection is closed")))

    def close(self) -> None:
        self.run(self._close())

    def run(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Start a coroutine in the event loop; any thread may call this."""
        try:
            asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        except RuntimeError:  # the loop is closed, see `check`
            coroutine.close()

    # The event loop

    def tell(self, event: Event) -> None:
        if isinstance(event, Lost):
            self.was_lost(event.link.worker)
        if not self._is_closed:
            self._tell(event)

    def tell_gone(self) -> None:
        self.tell(Broken(self._gone("the scheduler can't be reached")))

    def refuse(self, link: AgentLink[Any], error: Exception) -> None:
        """Do without a worker that is of no use; if there is no other, tell that the map is broken.

        Args:
            link: with the worker, which is over.
            error: why it is of no use.
        """
        why = link.in_words(error)
        if not all(other.is_over for other in self._links):
            self.avoid(link.worker)
            logging.getLogger("metainformant.parallel").warning(
                "%s: %s: not used: %s", self.caller, link.name, why
            )
            return
        broken = ParallelError(
            f"{self.caller}: no worker could begin, {MOST_FAILURES} times in a row; the last one, "
            f"{link.name}: {why}. Look into the logs of the workers"
        )
        broken.__cause__ = error
        self.tell(Broken(broken))

    def _gone(self, why: str) -> ParallelError:
        return ParallelError(
            f"{self.caller}: {why}: {self!r}. What was finished before is in `results`; "
            "with checkpoint= the same call goes on with the rest"
        )

    async def _start(self) -> None:
        self._watching = asyncio.create_task(self._watch())

    async def _add(self, link: AgentLink[Any]) -> None:
        self._links.append(link)
        link.task = asyncio.create_task(link.talk())

    async def _close(self) -> None:
        self._is_closed = True
        if self._watching is not None:
            self._watching.cancel()
        if self._links:
            await asyncio.wait([asyncio.create_task(link.close()) for link in self._links])
        self._links.clear()
        self.closed()

    async def _watch(self) -> None:
        """Tell from time to time which workers there are, until the map is over."""
        told: dict[str, int] | None = None
        while True:
            look = asyncio.create_task(self.look(is_first=told is None))
            while not look.done():
                await asyncio.wait([look], timeout=_LOOK_SECONDS)
                if not self.is_connected():
                    look.cancel()
                    self.tell_gone()
                    return
            try:
                threads = look.result()
            except ParallelError as error:
                self.tell(Broken(error))
                return
            except (Exception, asyncio.CancelledError):  # the look was cancelled, not this
                if not await self.is_there():
                    self.tell_gone()
                    return
                threads = told or {}
            told = threads
            self.tell(Workers(threads))
            await asyncio.sleep(_LOOK_SECONDS)

    # For each kind of cluster

    @abstractmethod
    def make_link(self, worker: str, setup: bytes, interval: float) -> AgentLink[Any]:
        """Return a link that has not begun to talk. The map's thread calls this."""

    @abstractmethod
    async def look(self, *, is_first: bool) -> dict[str, int]:
        """Return how many threads each worker has that can be used; ParallelError to give up."""

    @abstractmethod
    def is_connected(self) -> bool:
        """Return whether this process has not let go of the cluster."""

    @abstractmethod
    async def is_there(self) -> bool:
        """Return whether the cluster answers."""

    @abstractmethod
    def avoid(self, worker: str) -> None:
        """List a worker, which is of no use, no longer."""

    def was_lost(self, worker: str) -> None:  # noqa: B027  # most need not know
        """Learn that a worker can't be used any more."""

    def closed(self) -> None:  # noqa: B027  # most have nothing to do then
        """Let go of what belongs to no link."""


def _ignore(event: Event) -> None:
    pass
