"""The threads of one map."""

from __future__ import annotations

from ...worker.interrupt import Sender

TYPE_CHECKING = False
if TYPE_CHECKING:
    import threading
    from typing import Any, Protocol

    class Worker(Protocol):
        """A thread that runs jobs, or what is like one."""

        def is_alive(self) -> bool: ...


class ThreadGroup:
    """The threads of one map, or other workers of it, as its jobs need to know them.

    Owned by the engine's thread, except where noted.
    """

    def __init__(self, timeout: float | None) -> None:
        self.timeout = timeout
        self.threads: set[Any] = set()  # those that the map still counts on
        self.gone: list[Any] = []  # those that have ended, or are just about to
        # Whether workers end when they find nothing to do. Read by workers.
        self.parting = False
        # Whether the map is over: no job may be started. Set by the engine's thread, or by a worker
        # whose job ended the map; never reset; read by all.
        self.closed = False
        self.sender: Sender = Sender()
        # What workers have started when they prepared themselves, for their tasks to use. Each
        # worker adds what it has, before its first task.
        self.own_programs: dict[threading.Thread, frozenset[int]] = {}
        self._abandoned: list[Worker] = []

    def abandon(self, thread: Worker) -> None:
        self.threads.discard(thread)
        self._abandoned.append(thread)

    def remove(self, thread: Worker) -> None:
        self.threads.discard(thread)
        self.gone.append(thread)

    def abandoned(self) -> int:
        """Return how many abandoned threads have not ended."""
        self._abandoned = [thread for thread in self._abandoned if thread.is_alive()]
        return len(self._abandoned)
