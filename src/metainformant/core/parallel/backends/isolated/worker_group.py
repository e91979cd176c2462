"""The workers of one map: hired, watched, replaced and let go."""

from __future__ import annotations

import math
from time import monotonic
from typing import Any

from ...errors import ParallelError
from ...host.memory import used_memory
from ...options import MapCall
from ..ipc.poller import Poller
from .handle import WorkerHandle
from .requests import pack_function
from .worker_pool import WorkerPool

# The factor of `memory_limit` beyond which workers are killed within an item.
_FAR_TOO_MUCH = 1.5
# Seconds that a worker has to come back from a call that was given up, before it is killed.
_GRACE = 0.02


class WorkerGroup:
    """Owned by the engine's thread."""

    def __init__(self, call: MapCall, pool: WorkerPool) -> None:
        self._label = call.caller
        self._memory_limit = call.options.memory_limit
        self._pool = pool
        self._function = pack_function(call.caller, call.func) if pool.needs_function else None
        self.handles: list[WorkerHandle] = []
        self.wanted = 0  # how many the engine counts on; some may have to be started yet
        self.poller: Any = Poller()  # on all that the workers say
        self._abandoned: list[WorkerHandle] = []  # those that can't be killed

    def acquire(self) -> None:
        while len(self.handles) < self.wanted:
            handle = self._pool.acquire(alone=not self.handles)
            if handle is None:
                return  # asked for again before long
            self.handles.append(handle)
            for waitable in (handle.channel.reader, *handle.sentinels()):
                self.poller.add(waitable, handle)

    def send_function(self, handle: WorkerHandle) -> None:
        """See to it that a worker that listens knows the function; OSError if that can't be."""
        if self._function is not None and handle.function != self._function[0]:
            payload, parts = self._function
            handle.channel.send_payload(payload, parts, "function", self._label)
            handle.function = payload if payload.body else None

    def replace(self) -> None:
        """Start workers in place of those that were killed after their jobs were given up."""
        try:
            self.acquire()
        except ParallelError:
            if not self.handles:
                raise
            self.wanted = len(self.handles)

    def worker_abandoned(self, handle: WorkerHandle) -> None:
        """A job was given up while this worker had it. It may come back soon.

        The engine no longer counts on the worker. If it then asks for another, that is this one if
        it comes back, and else a new one as soon as this one was killed.
        """
        self.wanted -= 1
        self.kill_after_grace(handle)

    def kill_after_grace(self, handle: WorkerHandle) -> None:
        """Let a worker come back soon from the call that was given up, or be killed."""
        handle.overdue_at = min(handle.overdue_at, monotonic() + _GRACE)

    def watch_memory(self) -> None:
        """Replace workers that use too much after their item, and kill those that use far more."""
        limit = self._memory_limit
        if limit is None:
            return
        for handle in self.handles:
            used = used_memory(handle.pid)
            if used > limit * _FAR_TOO_MUCH:
                handle.kill(
                    f"was killed since it used {used / 2**20:,.0f} MiB, far more than "
                    f"memory_limit={limit / 2**20:,.0f} MiB"
                )
            elif used > limit and not handle.must_be_replaced:
                handle.must_be_replaced = True
                if handle.job is not None:
                    handle.job.truncate(handle.job.completed() + 1)
        for handle in [
            handle for handle in self.handles if handle.must_be_replaced and handle.job is None
        ]:
            self.retire(handle)

    def retire(self, handle: WorkerHandle) -> None:
        """Part with a worker that has no job. The engine asks for another if there is work."""
        self.forget(handle)
        self.wanted -= 1
        self._pool.release(handle, replace=True)

    def forget(self, handle: WorkerHandle) -> None:
        self.handles.remove(handle)
        for waitable in (handle.channel.reader, *handle.sentinels()):
            self.poller.remove(waitable)

    def reap(self, handle: WorkerHandle) -> str:
        """End what is left of a worker, and what it has started; return how it ended."""
        handle.kill()
        if handle.is_alive():
            self._abandoned.append(handle)
        handle.channel.close()
        self._pool.lost()
        return handle.exit_reason()

    def next_overdue(self) -> float:
        """When to call `kill_overdue`."""
        return min((handle.overdue_at for handle in self.handles), default=math.inf)

    def kill_overdue(self) -> None:
        now = monotonic()
        for handle in self.handles:
            if now >= handle.overdue_at:
                handle.kill()

    def abandoned(self) -> int:
        """How many could not be killed, and still run."""
        self._abandoned = [handle for handle in self._abandoned if handle.is_alive()]
        return len(self._abandoned)
