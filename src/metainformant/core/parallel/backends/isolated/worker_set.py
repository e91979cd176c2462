"""The workers that a map has: acquired, replaced, and ended."""

from __future__ import annotations

import contextlib
import math
from time import monotonic
from typing import Any

from ...errors import ParallelError
from ...host.memory import used_memory
from ..ipc.poller import Poller
from .handle import WorkerHandle
from .worker_pool import WorkerPool

# The factor of `memory_limit` beyond which workers are killed within an item.
_FAR_TOO_MUCH = 1.5
# Seconds that a worker has to come back from a call that was abandoned, before it is killed.
_GRACE_SECONDS = 0.02


class WorkerSet:
    """The workers of one map, whatever they do. Owned by the engine's thread.

    Attributes:
        wanted: how many workers the engine counts on; some may have to be started yet.
        handles: those that were started.
        poller: on all that they send, and on their ends.
    """

    def __init__(self, pool: WorkerPool) -> None:
        self._pool = pool
        self.wanted: int = 0
        self.handles: list[WorkerHandle] = []
        self.poller: Any = Poller()
        self._abandoned: list[WorkerHandle] = []  # those that can't be killed

    def acquire(self) -> None:
        """Get as many workers as are wanted, or as the pool has for now."""
        while len(self.handles) < self.wanted:
            handle = self._pool.acquire(alone=not self.handles)
            if handle is None:
                return  # asked for again before long
            self.handles.append(handle)
            for waitable in (handle.channel.reader, *handle.sentinels()):
                self.poller.add(waitable, handle)
            self.send_rest_later(handle)

    def send_rest_later(self, handle: WorkerHandle) -> None:
        """Have the poller say when a worker has room, if it had too little for what it was sent.

        One that listens has read it before long. One that was stopped may never do that.
        """
        if handle.channel.has_rest:
            self.poller.add_writer(handle.channel.writer, handle)

    def send_rest(self, handle: WorkerHandle) -> None:
        """Send what a worker has room for."""
        with contextlib.suppress(OSError):  # it has died, which will be seen at once
            handle.channel.send_rest()
        if not handle.channel.has_rest:
            self.poller.remove(handle.channel.writer)

    def replace(self) -> None:
        """Start workers in place of those that were killed after their jobs were abandoned."""
        try:
            self.acquire()
        except ParallelError:
            if not self.handles:
                raise
            self.wanted = len(self.handles)

    def retire(self, handle: WorkerHandle) -> None:
        """Part with a worker that has no job. The engine asks for another if there is work."""
        self.forget(handle)
        self.wanted -= 1
        self._pool.release(handle, replace=True)

    def release_all(self) -> None:
        """Give back the workers that have no job, and end the others."""
        handles, self.handles = self.handles, []
        for handle in handles:
            if handle.job is None:
                self._pool.release(handle)
            else:
                self.reap(handle)
                handle.job.drop()

    def forget(self, handle: WorkerHandle) -> None:
        """Listen to a worker no longer."""
        self.handles.remove(handle)
        for waitable in (handle.channel.reader, handle.channel.writer, *handle.sentinels()):
            self.poller.remove(waitable)

    def reap(self, handle: WorkerHandle) -> str:
        """End what is left of a worker, and what it has started; return how it ended."""
        handle.kill()
        if handle.is_alive():
            self._abandoned.append(handle)
        handle.close()
        self._pool.lost()
        return handle.exit_reason()

    def abandoned(self) -> int:
        """Return how many could not be killed, and still run."""
        self._abandoned = [handle for handle in self._abandoned if handle.is_alive()]
        return len(self._abandoned)

    def watch_memory(self, limit: int) -> None:
        """Replace workers that use too much after their item, and kill those that use far more."""
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
        for handle in list(self.handles):
            if handle.must_be_replaced and handle.job is None:
                self.retire(handle)

    # Calls that were abandoned

    def kill_after_grace(self, handle: WorkerHandle) -> None:
        """Let a worker come back soon from the call that was abandoned, or be killed."""
        handle.overdue_at = min(handle.overdue_at, monotonic() + _GRACE_SECONDS)

    def next_overdue(self) -> float:
        """Return when to call `kill_overdue`."""
        return min((handle.overdue_at for handle in self.handles), default=math.inf)

    def kill_overdue(self) -> None:
        """Kill the workers that did not come back."""
        now = monotonic()
        for handle in self.handles:
            if now >= handle.overdue_at:
                handle.kill()
