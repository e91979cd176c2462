"""The actors of Ray that maps use: one per seat, each in a process of its own.

A process takes half a second to start. So actors are kept for a few seconds after a map, and as
long as a pool of this process is open; any map takes those that are idle.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import ray

from ...describe import error_in_words
from . import handshake
from .agent import Agent, run_seat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..ipc.out_of_band import BufferedPickle

# Seconds for which an idle actor is kept, if no pool is open.
KEEP_SECONDS = 3.0
# Seconds for which it is worth waiting for an actor that another map is about to give back, and
# between two looks at whether it has.
_RETURN_SECONDS = 0.3
_TICK_SECONDS = 0.002


class RayWorker:
    """The process of an actor: its event loop has the agents, one per map."""

    def __init__(self) -> None:
        context = ray.get_runtime_context()
        self._name = f"ray actor {context.get_actor_id()} on {ray.util.get_node_ip_address()}"
        self._agents: dict[str, Agent] = {}  # by token

    async def introduce(self) -> tuple[str, dict[str, str | None]]:
        """Return the name of this worker, and its versions."""
        return self._name, handshake.versions()

    async def open(self, setup: bytes, interval: float) -> bytes:
        agent = Agent(self._name, can_end=True)
        self._agents[agent.token] = agent
        return agent.open(setup, interval)

    async def run_seat(self, token: str, number: int) -> None:
        name = f"seat {number}"
        threading.Thread(target=run_seat, args=(token, number), name=name, daemon=True).start()

    async def post(self, token: str, commands: BufferedPickle) -> None:
        self._agents[token].post(token, commands)

    async def poll(self, token: str) -> list[BufferedPickle] | None:
        return await self._agents[token].poll(token)

    async def close(self, token: str) -> bool:
        """Forget an agent whose seats have ended; return whether nothing of it still runs."""
        return self._agents.pop(token).is_idle


class Actor(NamedTuple):
    """An actor, and the connection to Ray that it belongs to."""

    handle: Any
    session: tuple[str, str]
    is_checked: bool = False  # whether it has started, with the versions of this process

    def ask(self, method: str, *arguments: Any) -> Any:
        """Call a coroutine of the worker, and return what can be awaited."""
        check_connection()
        return getattr(self.handle, method).remote(*arguments)

    def end(self) -> None:
        """End its process, whatever that does. That of a Ray that is gone has ended.

        Raises whatever Ray does if it can't: see `ActorStore.end`.
        """
        if _is_current(self.session):
            ray.kill(self.handle)


class ActorStore:
    """The actors of this process that are idle.

    All methods are called in the event loop.

    Args:
        loop: that of all maps of this process, which never ends.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._idle: list[tuple[Actor, float]] = []  # and since when
        self._holders = 0  # pools that are open
        self._returning = 0  # actors that will be idle, or ended

    async def take(self) -> Actor | None:
        """Return an actor that is idle, or about to be, or that has not started; or else None."""
        until = self.loop.time() + _RETURN_SECONDS
        while True:
            self._idle = [idle for idle in self._idle if _is_current(idle[0].session)]
            if self._idle:
                self._idle.sort(key=lambda idle: idle[0].is_checked)  # those that are ready first
                return self._idle.pop()[0]
            if not self._returning or self.loop.time() > until:
                return None
            await asyncio.sleep(_TICK_SECONDS)

    @contextmanager
    def returning(self) -> Iterator[None]:
        """Let those who want an actor wait a moment, since one is coming back."""
        self._returning += 1
        try:
            yield
        finally:
            self._returning -= 1

    def put(self, actor: Actor) -> None:
        """Keep an actor of which nothing is asked any more, also one that has not started yet."""
        self._idle.append((actor, self.loop.time()))
        self.loop.call_later(KEEP_SECONDS, self._expire, KEEP_SECONDS)

    def end(self, actor: Actor) -> None:
        """End the process of an actor, now or later: Ray may not be able to at the moment."""
        try:
            actor.end()
        except Exception as error:
            logging.getLogger("metainformant.parallel").info(
                "an actor of Ray can't be ended yet: %s", error_in_words(error)
            )
            self.loop.call_later(KEEP_SECONDS, self.end, actor)

    def hold(self) -> None:
        self._holders += 1

    def release(self) -> None:
        self._holders -= 1
        self._expire(0)

    def _expire(self, seconds: float) -> None:
        """End the actors that have been idle for so long."""
        if self._holders:
            return
        until = self.loop.time() - 0.99 * seconds
        expired = [actor for actor, since in self._idle if since <= until]
        self._idle = [(actor, since) for actor, since in self._idle if since > until]
        for actor in expired:
            self.end(actor)


def store() -> ActorStore:
    """Return that of this process."""
    with _store_lock:  # a cache makes two of them, if two threads ask at the same time
        return _only_store()


_store_lock = threading.Lock()


@cache
def _only_store() -> ActorStore:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="metainformant-ray", daemon=True).start()
    return ActorStore(loop)


def check_connection() -> None:
    """Raise ConnectionError if Ray was shut down: whoever asks it anything starts another."""
    if not ray.is_initialized():
        raise ConnectionError("Ray was shut down")


def make_actor() -> Actor:
    """Ask Ray for another actor; it may have to wait for a processor."""
    check_connection()
    return Actor(_remote_class().remote(), _session())


@cache
def _remote_class() -> Any:
    # Ray runs nothing again of what these were given, whatever happens to them.
    return ray.remote(num_cpus=1, max_restarts=0, max_task_retries=0)(RayWorker)


def _session() -> tuple[str, str]:
    """Return what this connection to Ray has in common with no other."""
    context = ray.get_runtime_context()
    return context.get_node_id(), context.get_job_id()


def _is_current(session: tuple[str, str]) -> bool:
    """Return whether we are still connected as we were then."""
    return ray.is_initialized() and session == _session()


class KeptActors:
    """The actors that a pool keeps while it is open."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_open = True  # guarded by the lock
        store().loop.call_soon_threadsafe(store().hold)

    def abort(self) -> None:
        with self._lock:
            was_open, self._is_open = self._is_open, False
        if was_open:
            store().loop.call_soon_threadsafe(store().release)

    def close(self, is_over: Callable[[], bool]) -> None:
        self.abort()
