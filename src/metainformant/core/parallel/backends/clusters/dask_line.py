"""How a map talks to an agent in a worker of Dask: directly, or through the scheduler.

Owned by the event loop of the client.
"""

from __future__ import annotations

import asyncio
import math
import pickle
from abc import ABC, abstractmethod
from time import monotonic
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import distributed.comm.core

from ..ipc.out_of_band import load
from .agent import run_seat
from .dask_host import POLL, POST, TALK, sendable, to_serialize

if TYPE_CHECKING:
    from ..ipc.out_of_band import BufferedPickle

# Seconds within which a worker that can be reached answers.
_REACH_SECONDS = 1.0
# Seconds for which workers are not tried once one could not be reached: behind a gateway none can,
# but it may have been busy, or just have ended.
_FAR_SECONDS = 60.0
connect: Any = distributed.comm.core.connect  # which has no types
# Until when to believe of a client that it can't reach workers. Each is looked up and set in its
# own event loop only.
_far_until: WeakKeyDictionary[Any, float] = WeakKeyDictionary()


class DaskLine(ABC):
    """A way to an agent in a worker of Dask, whose seats are tasks that are pinned to it."""

    is_direct: bool

    def __init__(self, client: Any, worker: str, token: str) -> None:
        self._client = client
        self._worker = worker
        self._token = token
        self._seats: list[Any] = []  # futures of the pinned tasks

    async def open_seat(self, number: int) -> None:
        self._seats.append(
            self._client.submit(
                run_seat,
                self._token,
                number,
                workers=[self._worker],
                allow_other_workers=False,
                pure=False,
                retries=0,
            )
        )

    @abstractmethod
    async def send(self, commands: BufferedPickle) -> None: ...

    @abstractmethod
    async def receive(self) -> list[BufferedPickle] | None: ...

    async def close(self) -> None:
        """Let nothing stay on the scheduler."""
        seats, self._seats = self._seats, []
        try:
            await self._client.cancel(seats)
        except Exception:
            return  # the scheduler is gone, and with it all that was there


class DirectLine(DaskLine):
    """A connection to the worker, which ends when its process does."""

    is_direct = True

    def __init__(self, client: Any, worker: str, token: str, comm: Any) -> None:
        super().__init__(client, worker, token)
        self._comm = comm

    async def send(self, commands: BufferedPickle) -> None:
        await self._comm.write([sendable(commands)])

    async def receive(self) -> list[BufferedPickle] | None:
        (message,) = await self._comm.read()
        reports: list[BufferedPickle] | None = load(message)
        if reports is None:
            await self._comm.close()  # which the worker waits for
        return reports

    async def close(self) -> None:
        await self._comm.close()
        await super().close()


class RelayedLine(DaskLine):
    """Calls that the scheduler passes on to the worker."""

    is_direct = False

    # As bytes: what Dask does with buffers that are out of band has crashed on this way.

    async def send(self, commands: BufferedPickle) -> None:
        await self._call(POST, commands=to_serialize(pickle.dumps(commands, 5)))

    async def receive(self) -> list[BufferedPickle] | None:
        reports: list[BufferedPickle] | None = pickle.loads(await self._call(POLL))
        return reports

    async def _call(self, operation: str, **arguments: Any) -> Any:
        message = {"op": operation, "token": self._token, **arguments}
        return await self._client.scheduler.proxy(worker=self._worker, msg=message)


async def line_to(client: Any, worker: str, token: str) -> DaskLine:
    """Connect to an agent, directly if the worker can be reached."""
    if client.direct_to_workers is not False and monotonic() >= _far_until.get(client, -math.inf):
        comm = await _reach(client, worker, token)
        if comm is not None:
            return DirectLine(client, worker, token, comm)
        _far_until[client] = monotonic() + _FAR_SECONDS
    return RelayedLine(client, worker, token)


async def _reach(client: Any, worker: str, token: str) -> Any:
    """Return a connection to a worker, if it has the agent; None if not."""
    comm: Any = None
    is_meant = False
    try:  # whatever listens at that address on this side of a gateway
        comm = await connect(worker, timeout=_REACH_SECONDS, **client.connection_args)
        await comm.write({"op": TALK, "token": token, "reply": False})
        (is_meant,) = await asyncio.wait_for(comm.read(), _REACH_SECONDS)
    except Exception:
        return None
    finally:
        if comm is not None and not is_meant:
            comm.abort()
    return comm if is_meant else None
