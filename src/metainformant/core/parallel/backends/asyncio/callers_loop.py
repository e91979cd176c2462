"""The event loop of the caller, as one in which workers run."""

from __future__ import annotations

from .worker_loop import WorkerLoop

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from typing import Any

    from .worker import Worker


class CallersLoop(WorkerLoop):
    """The event loop of the caller, for as long as a map takes."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.loop = loop

    def start(self) -> None:
        self._call_soon(self._start)

    def _start(self) -> None:
        if self.is_closing:
            self._is_clean.set()
            return
        name = f"{self._call.caller} workers"
        self._keep(self.loop.create_task(self.live(), name=name, context=self._context))

    def _keep(self, task: asyncio.Task[None]) -> None:
        tasks = self._call.workers.tasks
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    def _begin(self, worker: Worker) -> None:
        super()._begin(worker)
        if worker.task is not None:
            self._keep(worker.task)

    def has_ended(self) -> bool:
        return super().has_ended() or self.loop.is_closed()
