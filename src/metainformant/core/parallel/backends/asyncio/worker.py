"""A worker that is a task of an event loop, and what can be asked of it from outside."""

from __future__ import annotations

import asyncio

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

    from .job import CoroutineJob
    from .worker_loop import WorkerLoop


class Worker:
    """A task of an event loop that runs jobs one after the other. It is like a thread in a group.

    Attributes:
        task, coroutine: set by the loop when it begins; None for `coroutine` once it has ended.
        job: what it runs; set by the worker.
        is_abandoned: whether nobody waits for its call any more; set by `WorkerLoop.abandon`.
    """

    __slots__ = ("coroutine", "is_abandoned", "job", "loop", "name", "task")

    def __init__(self, name: str, loop: WorkerLoop) -> None:
        self.name: str = name
        self.loop: WorkerLoop = loop
        self.task: asyncio.Task[None] | None = None
        self.coroutine: Coroutine[Any, Any, None] | None = None
        self.job: CoroutineJob | None = None
        self.is_abandoned: bool = False

    def is_alive(self) -> bool:
        return is_alive(self.task, self.loop.loop)

    def is_running(self) -> bool:
        """Return whether its code is what the loop runs just now."""
        return getattr(self.coroutine, "cr_running", False)


def is_alive(task: asyncio.Task[None] | None, loop: asyncio.AbstractEventLoop) -> bool:
    """Return whether a task has begun or will, and has not ended. Its loop may be closed before."""
    return not (loop.is_closed() or (task is not None and task.done()))


def forget_cancelling() -> None:
    """Let the running task not count as cancelled."""
    task = asyncio.current_task()
    while task is not None and task.cancelling():
        task.uncancel()
