"""A pool of workers that several maps use at the same time."""

from __future__ import annotations

import threading
from typing import Any

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
