"""The threads of one map."""

from __future__ import annotations

import threading
from time import monotonic

from ...worker.interrupt import Sender

# Seconds that calls which were given up have to end, before it is held against the map that they
# did not. A helper looks often at them for half a second, see `interrupt.py`.
_LAST_MOMENT = 0.75


_LAST_TICK = 0.01


class ThreadGroup:
    """The threads of one map, as its jobs need to know them.

    Owned by the engine's thread, but for what is said below.
    """

    def __init__(self, timeout: float | None) -> None:
        self.timeout = timeout
        self.threads: set[threading.Thread] = set()  # those that the map still counts on
        self.gone: list[threading.Thread] = []  # those that have ended, or are just about to
        # Whether workers end when they find nothing to do. Read by workers.
        self.parting = False
        # Whether the map is over: no job may be started. Set by the engine's thread, or by a worker
        # whose job ended the map; never reset; read by all.
        self.closed = False
        self.sender = Sender()
        self._abandoned: list[threading.Thread] = []

    def abandon(self, thread: threading.Thread) -> None:
        self.threads.discard(thread)
        self._abandoned.append(thread)

    def remove(self, thread: threading.Thread) -> None:
        self.threads.discard(thread)
        self.gone.append(thread)

    def abandoned(self, most: int) -> int:
        """How many were given up and have not ended. If it is more than `most`, wait for some."""
        until = monotonic() + _LAST_MOMENT
        while True:
            self._abandoned = [thread for thread in self._abandoned if thread.is_alive()]
            if len(self._abandoned) <= most or monotonic() >= until:
                return len(self._abandoned)
            self._abandoned[0].join(_LAST_TICK)
