"""Ray as a cluster: each worker is an actor with one seat, which is made when it is needed."""

from __future__ import annotations

import asyncio
import re
import threading
from math import inf
from typing import TYPE_CHECKING, Any

import ray
from ray.exceptions import RayActorError, RuntimeEnvSetupError

from ...describe import error_in_words
from ...errors import ParallelError
from . import handshake
from .link import AgentLink, UnusableWorkerError
from .loop import ANSWER_SECONDS, LoopCluster
from .messages import EndProcess, read_hello
from .ray_actors import check_connection, make_actor, store

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..ipc.out_of_band import BufferedPickle
    from .messages import Command, Hello
    from .ray_actors import Actor


# Seconds for which a server of Ray may be silent, as when it is restarted. After 60 s, Ray ends the
# process of the map, and what it has finished is lost.
_GONE_SECONDS = 30.0


class RayCluster(LoopCluster):
    """The processors of an initialised Ray: as many actors may be made as there are.

    The workers that it tells of are actors which could be, until they are connected to.
    """

    how_to_send = "ray.init(runtime_env={'working_dir': '.'}), or {'py_modules': [module]}"
    thread_seconds = inf  # an actor that waits gets any processor
    message_bytes = 16 * 2**20  # a call costs as much as writing a few MiB into the object store

    def __init__(self, caller: str) -> None:
        super().__init__(caller, store().loop)
        # Owned by the event loop:
        self._workers: list[str] = []
        self._count = 0  # of workers that there ever were
        self._processors = 0
        self._refused = 0
        self._setup: Any = None  # an ObjectRef, once there is one
        self.has_worker = False  # whether one has been good enough

    def __repr__(self) -> str:
        return f"Ray at {ray.get_runtime_context().gcs_address}" if ray.is_initialized() else "Ray"

    def make_link(self, worker: str, setup: bytes, interval: float) -> RayLink:
        return RayLink(self, worker, setup, interval)

    def is_connected(self) -> bool:
        return bool(ray.is_initialized())

    async def is_there(self) -> bool:
        if not self.is_connected():
            return False
        try:
            await asyncio.wait_for(self._count_processors(), ANSWER_SECONDS)
        except Exception:
            return False
        return self.is_connected()

    async def look(self, *, is_first: bool) -> dict[str, int]:
        self._processors = await asyncio.wait_for(self._count_processors(), _GONE_SECONDS)
        return self._listed()

    async def _count_processors(self) -> int:
        check_connection()
        nodes = await _in_thread(ray.nodes)  # which waits for a server
        count = sum(int(node["Resources"].get("CPU", 0)) for node in nodes if node["Alive"])
        return max(0, count - self._refused)

    def _listed(self) -> dict[str, int]:
        """Return the workers that can be, and all that are connected."""
        while len(self._workers) < min(self.limit, self._processors):
            self._count += 1
            self._workers.append(f"ray actor {self._count}")
        connected = {link.worker for link in self._links}
        for worker in reversed(self._workers.copy()):
            if len(self._workers) > self._processors and worker not in connected:
                self._workers.remove(worker)
        return dict.fromkeys(self._workers, 1)

    def was_lost(self, worker: str) -> None:
        if worker in self._workers:
            self._workers.remove(worker)  # another takes its place, under another name

    def avoid(self, worker: str) -> None:
        self._refused += 1  # whichever of its actors that was, one less is made

    def shared(self, setup: bytes) -> Any:
        """Return a reference to the setup, which is in the object store of each machine once."""
        if self._setup is None:
            check_connection()
            self._setup = ray.put(setup)
        return self._setup

    def closed(self) -> None:
        self._setup = None


class RayLine:
    """A way to an agent in an actor: calls of the actor."""

    is_direct = False

    def __init__(self, actor: Actor, token: str) -> None:
        self._actor = actor
        self._token = token

    async def open_seat(self, number: int) -> None:
        await self._actor.ask("run_seat", self._token, number)

    async def send(self, commands: BufferedPickle) -> None:
        await self._actor.ask("post", self._token, commands)

    async def receive(self) -> list[BufferedPickle] | None:
        reports: list[BufferedPickle] | None = await self._actor.ask("poll", self._token)
        return reports

    async def close(self) -> bool:
        """Forget the agent, whose seats have ended; return whether nothing of it still runs."""
        is_idle: bool = await self._actor.ask("close", self._token)
        return is_idle


class RayLink(AgentLink[RayLine]):
    """The agent of a map in an actor."""

    def __init__(self, cluster: RayCluster, worker: str, setup: bytes, interval: float) -> None:
        super().__init__(cluster, worker)
        self._ray = cluster
        self._setup = setup, interval
        self._actor: Actor | None = None

    def post(self, commands: list[Command]) -> None:
        if any(isinstance(command, EndProcess) for command in commands):
            self._cluster.run(self._kill())
        else:
            super().post(commands)

    async def _kill(self) -> None:
        if self._actor is not None:
            store().end(self._actor)  # the poll fails then

    async def make_agent(self) -> tuple[Hello, RayLine]:
        actor = self._actor = await store().take() or make_actor()
        if not actor.is_checked:
            try:
                await self._check(actor)
            except Exception:  # but not if this is cancelled: the actor may start yet
                self._actor = None
                store().end(actor)
                raise
            actor = self._actor = actor._replace(is_checked=True)
        setup, interval = self._setup
        opened = await actor.ask("open", self._ray.shared(setup), interval)
        self._ray.has_worker = True
        hello = read_hello(opened)
        return hello, RayLine(actor, hello.token)

    async def _check(self, actor: Actor) -> None:
        """Compare versions; ParallelError if they differ and the map has not begun."""
        try:
            name, theirs = await actor.ask("introduce")
            self.name = name
            wrong = handshake.mismatch(name, theirs)
        except RayActorError as error:
            wrong = _why_not_imported(error)
            if wrong is None:
                raise
        if wrong is None:
            return
        if not self._ray.has_worker:
            raise ParallelError(f"{self._cluster.caller}: {wrong}")
        raise UnusableWorkerError(wrong)

    async def close(self) -> None:
        with store().returning():
            await super().close()

    async def let_go(self) -> None:
        if self._actor is None:
            return
        actor, self._actor = self._actor, None
        if not actor.is_checked or await self._is_idle():  # nothing is asked of it any more
            store().put(actor)
        else:
            store().end(actor)

    @property
    def will_answer(self) -> bool:
        return self._actor is not None and self._actor.is_checked  # others may never start

    async def _is_idle(self) -> bool:
        """Return whether nothing of this map runs in the actor any more."""
        if self.line is None or not self.is_settled:
            return False
        try:
            return await asyncio.wait_for(self.line.close(), ANSWER_SECONDS)
        except Exception:
            return False  # it is gone, or hangs

    def in_words(self, error: Exception) -> str:
        return why_lost(error)


async def _in_thread(call: Callable[[], Any]) -> Any:
    """Call what may block for long in a thread of its own, which the interpreter's exit leaves."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Any] = loop.create_future()

    def settle(result: Any, error: Exception | None) -> None:
        if answer.done():  # nobody waits any more
            return
        if error is None:
            answer.set_result(result)
        else:
            answer.set_exception(error)

    def run() -> None:
        try:
            result, error = call(), None
        except Exception as raised:
            result, error = None, raised
        loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=run, name="metainformant-ray-look", daemon=True).start()
    return await answer


def why_lost(error: Exception) -> str:
    """Say why an actor was lost; of an error at its start, what Ray says last."""
    if isinstance(error, RuntimeEnvSetupError) or getattr(error, "actor_init_failed", False):
        last = str(error).strip(". \n").rpartition("\n")[2]
        return f"it can't start: {last}"
    if isinstance(error, RayActorError):
        return "its process has ended"
    return error_in_words(error)


def _why_not_imported(error: RayActorError) -> str | None:
    """Say what a worker lacks which could not read the class of our actors; None if it could."""
    found = re.search(r"ModuleNotFoundError: No module named '([\w.]+)'", str(error))
    if found is None:
        return None
    return (
        f"a worker of Ray has no module {found[1]}. Install what this process has where the "
        "workers run, or send it with ray.init(runtime_env={'pip': [...]})"
    )
