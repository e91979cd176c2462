"""A pool: starts workers for maps, and ends them or keeps them for the next."""

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

from ...calls import MapCall
from ...errors import ParallelError
from ...worker.setup import Preparation
from ..ipc import pickling as pickling
from ..ipc.exceptions import unpack
from ..ipc.payload import Packed
from .handle import WorkerHandle
from .messages import Broken, Closed, End, Prepare, receive, send
from .requests import is_pickled_by_name, pack_function, pack_preparation

# Seconds that workers have to clean up and end, after a map that was left early and otherwise.
_ABORT_SECONDS = 0.15
_CLOSE_SECONDS = 60.0
# Seconds that one may take to end when it has cleaned up. Threads and processes that tasks have
# left running are not waited for any longer.
_EXIT_SECONDS = 1.0


class WorkerPool(ABC):
    """A source of workers, which also ends them, or keeps them for further maps.

    Args:
        call: what to start workers for.
        kept: whether workers stay when a map has ended, until `close`.
    """

    needs_function = True  # whether workers have to be sent the function
    sends_handles = False  # whether items may have what `multiprocessing` sends as a descriptor

    def __init__(self, call: MapCall, *, kept: bool = False) -> None:
        self.label: str = call.caller
        self.preparation: Preparation = call.options.preparation
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
        # The function that was pickled last, if its pickle never changes.
        self._last_function: tuple[Callable[..., Any], Packed] | None = None

    @abstractmethod
    def start(self, name: str) -> WorkerHandle:
        """Start a worker that prepares itself; OSError if there is none to be had."""

    def acquire(self, *, alone: bool) -> WorkerHandle | None:
        """Return a worker for a map; None if there is none now.

        A map that runs while the pool is closed gets its workers as before: none is kept then.

        Args:
            alone: whether the map has no worker. Then it gets one.

        Raises:
            ParallelError: if no worker can be started.
        """
        if os.getpid() != self._owner:
            self._forget_workers()
        handle = self._take_idle()
        if handle is not None:
            return handle
        with self._lock:
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

    def _take_idle(self) -> WorkerHandle | None:
        """Return a worker that has nothing to do, and has not ended; None if there is none."""
        while True:
            with self._lock:
                if not self._idle:
                    return None
                handle = self._idle.pop()
                if not handle.has_ended():
                    return handle
                self._count -= 1
            _reap(handle)  # without the lock: that may take long, and takes locks of its own

    def _forget_workers(self) -> None:
        """In a fork: its parent has the workers, and perhaps the lock."""
        self._owner = os.getpid()
        self._lock = threading.RLock()
        self._idle, self._leaving, self._count = [], [], 0

    def release(self, handle: WorkerHandle, *, replace: bool = False) -> None:
        """Take back a worker that has no job; `replace` says that it must not be used again."""
        with self._lock:
            if self._kept and not replace and self._count <= self._most:
                handle.overdue_at = math.inf
                self._idle.append(handle)
                return
            self._count -= 1
            gone: list[WorkerHandle] = []
            if self._kept or replace:  # else all of them are ended right after this
                gone = [handle for handle in self._leaving if not handle.is_alive()]
                self._leaving = [handle for handle in self._leaving if handle not in gone]
            # Under the lock, lest somebody else close the pipe meanwhile.
            with contextlib.suppress(OSError):
                send(handle.channel, End())
            if handle.channel.has_rest:  # it has not even read its preparation: nothing to clean up
                gone.append(handle)
            else:
                self._leaving.append(handle)
        for handle_gone in gone:
            _reap(handle_gone)
        if self._closed:  # nobody else will look after it: this is one of a map that still ran
            self.abort()

    def lost(self) -> None:
        """Learn that a worker has died, or could not be started."""
        with self._lock:
            self._count -= 1

    def close(self, is_over: Callable[[], bool]) -> None:
        """End all workers that were released, and kill those that have not ended in time.

        That is when the caller says that it `is_over`, or after a minute.

        Raises:
            ParallelError: if one could not close its state.
        """
        broken = self._end(is_over, _CLOSE_SECONDS)
        if broken:
            raise broken[0]

    def abort(self) -> None:
        """End all workers that were released almost at once, and say nothing of what fails."""
        self._end(None, _ABORT_SECONDS)

    def _end(self, is_over: Callable[[], bool] | None, seconds: float) -> list[BaseException]:
        if os.getpid() != self._owner:  # a fork: these workers are its parent's
            return []
        with self._lock:
            self._kept = False
            idle, self._idle = self._idle, []
        for handle in idle:
            self.release(handle)
        with self._lock:
            self._closed = True
            leaving, self._leaving = self._leaving, []
        broken: list[BaseException] = []
        try:
            self._await_ends(leaving, is_over, monotonic() + seconds, broken)
            self._receive(leaving, broken)
        finally:
            for handle in leaving:
                _reap(handle)
        return broken

    def _await_ends(
        self,
        handles: list[WorkerHandle],
        is_over: Callable[[], bool] | None,
        until: float,
        broken: list[BaseException],
    ) -> None:
        """Wait until workers have ended; until then at most, and not long once it is over."""
        while (
            handles := [handle for handle in handles if handle.is_alive()]
        ) and monotonic() < until:
            self._receive(handles, broken)
            for handle in handles:
                if monotonic() >= handle.overdue_at:
                    handle.kill()
            if is_over is not None and is_over():
                is_over, until = None, min(until, monotonic() + _ABORT_SECONDS)
            sentinels: list[Any] = [
                sentinel for handle in handles for sentinel in handle.sentinels()
            ]
            ended = wait(sentinels, min(0.1, max(0.0, until - monotonic())))
            # One that has let go of everything may take a moment more to be gone. `_reap` waits
            # for that, which is better than asking again and again.
            handles = [
                handle for handle in handles if not set(ended).intersection(handle.sentinels())
            ]

    def _receive(self, handles: list[WorkerHandle], broken: list[BaseException]) -> None:
        """Read what workers that are ending still send, so that nothing can hold them up."""
        for handle in handles:
            with contextlib.suppress(EOFError, OSError):
                while (message := receive(handle.channel)) is not None:
                    match message:
                        case Broken(error):
                            broken.append(unpack(error, handle.name))
                            handle.overdue_at = monotonic() + _EXIT_SECONDS
                        case Closed():
                            handle.overdue_at = monotonic() + _EXIT_SECONDS

    def prepare(self, handle: WorkerHandle, preparation: Packed) -> None:
        """Send to a worker that has just been started what it is to prepare itself with."""
        try:
            attached = handle.channel.attach(preparation)
            send(handle.channel, Prepare(self.label, attached))
        except ConnectionError:  # it has died, which will be seen
            return
        except BaseException:
            _reap(handle)
            raise

    def pack_function(self, label: str, func: Callable[..., Any]) -> Packed:
        """Pickle the function of a map; ParallelError if that fails."""
        last = self._last_function
        if last is not None and last[0] is func and not pickling.main_is_ours_alone:
            return last[1]
        packed = pack_function(label, func)
        if self._kept and is_pickled_by_name(packed, func):
            self._last_function = func, packed
        return packed

    def pack_preparation(self) -> Packed:
        """Pickle what a worker prepares itself with.

        Raises:
            ParallelError: if that can't be pickled.
        """
        return pack_preparation(self.label, self.preparation)


def _reap(handle: WorkerHandle) -> None:
    """End what is left of a worker."""
    handle.kill()
    handle.close()
