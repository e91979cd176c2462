"""Where the workers of a map come from, and where they go."""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from multiprocessing.connection import wait
from time import monotonic
from typing import Any

from ...errors import ParallelError
from ...options import MapCall
from ..ipc.exceptions import unpack
from .handle import WorkerHandle
from .requests import Packed, pack_named

# Seconds that workers have to clean up and end, after a map that was left early and otherwise.
_ABORT_SECONDS = 0.15
_CLOSE_SECONDS = 60.0
# Seconds that one may take to end when it has cleaned up. Threads and processes that tasks have
# left running are not waited for any longer.
_EXIT_SECONDS = 1.0


class WorkerPool(ABC):
    """Starts workers and ends them; or, if it is kept, holds them ready for further maps.

    Args:
        call: what to start workers for.
        kept: whether workers stay when a map has ended, until `close`.
    """

    needs_function = True  # whether workers have to be sent the function

    def __init__(self, call: MapCall, *, kept: bool = False) -> None:
        self.label = call.caller
        self.preparation = call.options.preparation
        self._most = call.workers.count
        self._kept = kept
        self._numbers = itertools.count(1)  # next() is atomic
        # The garbage collector may close a pool in the middle of anything.
        self._lock = threading.RLock()
        # Under the lock: those who have nothing to do, those who are about to end, and how many
        # are not about to.
        self._idle: list[WorkerHandle] = []
        self._leaving: list[WorkerHandle] = []
        self._count = 0
        self._closed = False  # set under the lock
        self._owner = os.getpid()

    @abstractmethod
    def start(self, name: str) -> WorkerHandle:
        """Start a worker that prepares itself; OSError if there is none to be had."""

    def acquire(self, *, alone: bool) -> WorkerHandle | None:
        """A worker for a map; None if there is none now, which can't be if the map is `alone`.

        Raises:
            ParallelError: if no worker can be started.
        """
        with self._lock:
            while self._idle:
                handle = self._idle.pop()
                if handle.is_alive():
                    return handle
                self._count -= 1
                _reap(handle)
            if self._closed:
                raise ParallelError(f"{self.label} was closed while one of its maps was running")
            if self._kept and self._count >= self._most and not alone:
                return None
            self._count += 1
        try:
            return self.start(f"{self.label}-{next(self._numbers)}")
        except OSError as error:
            self.lost()
            raise ParallelError(f"{self.label} can't start another worker: {error}") from None
        except BaseException:
            self.lost()
            raise

    def release(self, handle: WorkerHandle, *, replace: bool = False) -> None:
        """Take back a worker that has no job; one that must `replace`d is to be replaced."""
        with self._lock:
            if self._kept and not replace and self._count <= self._most:
                handle.overdue_at = math.inf
                self._idle.append(handle)
                return
            self._count -= 1
            self._leaving.append(handle)
            gone = [handle for handle in self._leaving if not handle.is_alive()]
            self._leaving = [handle for handle in self._leaving if handle not in gone]
        for handle_gone in gone:
            _reap(handle_gone)
        with contextlib.suppress(OSError):
            handle.channel.send("end")
        if self._closed:  # nobody else will look after it
            self.close(None)

    def lost(self) -> None:
        """A worker has died, or could not be started."""
        with self._lock:
            self._count -= 1

    def close(self, enough: Callable[[], bool] | None) -> None:
        """End all workers that were released, and kill those that have not ended in time.

        With `enough`, that is when it is enough, or after a minute; else almost at once.

        Raises:
            ParallelError: if one could not close its state.
        """
        if os.getpid() != self._owner:  # a fork: these workers are its parent's
            return
        with self._lock:
            self._kept = False
            idle, self._idle = self._idle, []
        for handle in idle:
            self.release(handle)
        with self._lock:
            self._closed = True
            leaving, self._leaving = self._leaving, []
        until = monotonic() + (_ABORT_SECONDS if enough is None else _CLOSE_SECONDS)
        in_haste = enough is None
        broken: list[BaseException] = []
        try:
            left = leaving
            while (
                left := [handle for handle in left if handle.is_alive()]
            ) and monotonic() < until:
                self._hear(left, broken)
                for handle in left:
                    if monotonic() >= handle.overdue_at:
                        handle.kill()
                if not in_haste and enough is not None and enough():
                    in_haste, until = True, min(until, monotonic() + _ABORT_SECONDS)
                watched: list[Any] = [
                    sentinel for handle in left for sentinel in handle.sentinels()
                ]
                ended = wait(watched, min(0.1, max(0.0, until - monotonic())))
                # One that has let go of everything may take a moment more to be gone, for which
                # it is waited at last, and not by asking again and again.
                left = [
                    handle for handle in left if not set(ended).intersection(handle.sentinels())
                ]
            self._hear(leaving, broken)
        finally:
            for handle in leaving:
                _reap(handle)
        if broken and enough is not None:  # else something else is raised, which must not be hidden
            raise broken[0]

    def _hear(self, handles: list[WorkerHandle], broken: list[BaseException]) -> None:
        """Read what workers that are ending still say, so that nothing can hold them up."""
        for handle in handles:
            with contextlib.suppress(EOFError, OSError):
                while handle.channel.poll():
                    what, *message = handle.channel.receive()
                    if what == "broken":
                        broken.append(unpack(message[0], handle.name))
                    if what in ("broken", "closed"):
                        handle.overdue_at = monotonic() + _EXIT_SECONDS

    def prepare(self, handle: WorkerHandle, packed: Packed) -> None:
        """Send to a worker that has just been started what it is to prepare itself with."""
        payload, parts = packed
        try:
            handle.channel.send_payload(payload, parts, "prepare", self.label)
        except ConnectionError:  # it has died, which will be seen
            return
        except BaseException:
            _reap(handle)
            raise

    def packed(self) -> Packed:
        """What a worker needs to prepare itself.

        Raises:
            ParallelError: if that can't be pickled.
        """
        return pack_named(self.label, self.preparation)


def _reap(handle: WorkerHandle) -> None:
    """End what is left of a worker."""
    handle.kill()
    handle.channel.close()
