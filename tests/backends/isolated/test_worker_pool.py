"""A pool of workers that several maps use at the same time."""

from __future__ import annotations

import math
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from metainformant.core.parallel.backends.ipc.channel import channel
from metainformant.core.parallel.backends.isolated.handle import WorkerHandle
from metainformant.core.parallel.backends.isolated.worker_pool import WorkerPool
from metainformant.core.parallel.calls import Workers, make_call


class EndedWorker:
    """A worker that has died while it had nothing to do. It is gone when others used the pool."""

    def __init__(self, pool: WorkerPool) -> None:
        self._pool = pool
        self._gone = threading.Event()
        self.was_gone = False

    def has_ended(self) -> bool:
        return True

    def kill(self) -> None:
        thread = threading.Thread(target=self._use_the_pool)
        thread.start()
        self.was_gone = self._gone.wait(2)
        thread.join(2)

    def _use_the_pool(self) -> None:
        self._pool.lost()
        self._gone.set()

    def close(self) -> None: ...


class Pool(WorkerPool):
    """A pool whose new workers are nothing but known."""

    new: Any = object()

    def start(self, name: str) -> WorkerHandle:
        handle: WorkerHandle = self.new
        return handle


def test_others_do_not_wait_while_the_rest_of_a_worker_is_ended() -> None:
    pool = Pool(make_call("Pool", abs, Workers("process", 1), {}), kept=True)
    ended: Any = EndedWorker(pool)
    pool._count, pool._idle = 2, [ended]
    assert pool.acquire(alone=True) is pool.new
    assert ended.was_gone


class Listener:
    """The handle of a worker that reads nothing. It notes whether the pool is locked to send."""

    def __init__(self, pool: WorkerPool) -> None:
        self._ends = channel()
        self.channel = self
        self._pool = pool
        self.was_locked: list[bool] = []
        self.kills = 0
        self.overdue_at = math.inf

    @property
    def has_rest(self) -> bool:
        return self._ends[0].has_rest

    def send(self, message: tuple[Any, ...]) -> None:
        with ThreadPoolExecutor(1) as other:
            self.was_locked.append(other.submit(self._is_locked).result())
        self._ends[0].send(message)

    def _is_locked(self) -> bool:
        is_free = self._pool._lock.acquire(blocking=False)
        if is_free:
            self._pool._lock.release()
        return not is_free

    def receive(self) -> None: ...

    def sentinels(self) -> list[Any]:
        return []

    def is_alive(self) -> bool:
        return not self.kills

    def kill(self) -> None:
        self.kills += 1

    def close(self) -> None:
        for end in self._ends:
            end.close()


def test_nobody_closes_the_pipe_of_a_worker_while_it_is_told_to_end() -> None:
    """Or the message might go to whatever has got the number of its descriptor."""
    pool = Pool(make_call("Pool", abs, Workers("process", 1), {}))
    listener: Any = Listener(pool)
    pool.release(listener)
    assert listener.was_locked == [True]
    assert not listener.kills
    pool.abort()
    assert listener.kills == 1


def test_a_worker_that_has_not_read_its_preparation_is_ended_at_once() -> None:
    pool = Pool(make_call("Pool", abs, Workers("process", 1), {}), kept=True)
    listener: Any = Listener(pool)
    listener.send((bytes(10**6),))  # more than a pipe has room for
    pool.release(listener)
    assert not listener.kills  # the next map may send the rest
    pool.abort()
    assert listener.kills == 1
