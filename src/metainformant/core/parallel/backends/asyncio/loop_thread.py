"""An event loop of the map's own, in which workers run, and its thread."""

from __future__ import annotations

import asyncio
import threading

from ...errors import FATAL, ParallelError
from ...host.threads import DAEMON, launch
from .worker import forget_cancelling
from .worker_loop import WorkerLoop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any, TypeVar

    from .worker import Worker

    T = TypeVar("T")

# Seconds that calls which were cancelled have to end before their loop is closed under them.
_GRACE_SECONDS = 1.0


class LoopThread(WorkerLoop):
    """An event loop of the map's own, in a thread of its own.

    It is a daemon thread, so what blocks it delays neither the map nor the interpreter's exit.
    """

    def start(self) -> None:
        self.loop: asyncio.AbstractEventLoop = asyncio.new_event_loop()
        name = f"{self._call.caller} loop"
        self._thread = threading.Thread(target=self._run, name=name, daemon=DAEMON)
        try:
            launch(self._thread, self._call.caller)
        except ParallelError:
            self.loop.close()
            raise

    def give_up(self, group: set[Worker]) -> None:
        """Let another thread go on, which begins with a loop and a state of its own."""
        if self.is_given_up:
            return
        self.is_given_up = True
        self.close(cancel=False)
        for worker in tuple(group):
            if worker.loop is self and worker.job is None:
                group.discard(worker)

    def has_ended(self) -> bool:
        if self.is_given_up:
            return True  # it ends once it can
        if self._is_clean.is_set() and any(worker.is_abandoned for worker in self._workers.copy()):
            return True  # it ends soon
        return not self._thread.is_alive()

    def wait(self, seconds: float) -> None:
        if self._is_clean.wait(seconds):
            self._thread.join(seconds)

    async def _await_end(self, may_end: asyncio.Event) -> None:
        while not may_end.is_set():
            try:
                await may_end.wait()
            except asyncio.CancelledError:  # by a call that has cancelled all tasks of the loop
                forget_cancelling()

    def _run(self) -> None:
        loop = self.loop
        try:
            asyncio.set_event_loop(loop)
            self._complete(self.live())
            left = self._complete(self._cancel_all())
            self._complete(loop.shutdown_asyncgens())
            # What such calls have put into threads runs on, and `close` does not wait for it.
            if not (left or self._is_cancelling or self._has_abandoned):
                self._complete(loop.shutdown_default_executor())
            for task in left:  # they never get on, which is what was wanted
                task._log_destroy_pending = False
        except BaseException as error:
            self._report(error)
        finally:
            asyncio.set_event_loop(None)
            loop.close()
            for worker in self._workers:
                worker.job = None
            self._is_clean.set()

    def _complete(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end, however often tasks stop the loop; report exits of theirs."""
        task = self.loop.create_task(coroutine, context=self._context)
        task.add_done_callback(lambda _: self.loop.stop())
        while not task.done():
            try:
                self.loop.run_forever()
            except FATAL as error:
                self._report(error)
        return task.result()

    async def _cancel_all(self) -> set[Any]:
        """Cancel what is left, and give it a moment to end; return what does not."""
        left = asyncio.all_tasks() - {asyncio.current_task()}
        if not left:
            return left
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=_GRACE_SECONDS)
        return left
