"""A wakeup: ends the wait of a thread that waits for pipes."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from multiprocessing.connection import Connection, Pipe
from typing import Any


class Wakeup:
    """A pipe that any thread may set. The thread that waits for `reader` clears and closes it."""

    def __init__(self) -> None:
        self.reader: Connection[Any, Any]
        self.reader, self._writer = Pipe(duplex=False)
        if sys.platform != "win32":
            os.set_blocking(self._writer.fileno(), False)  # one that is full wakes as well
        # Held to set and to close, lest something else be written to that has the same number by
        # then. The garbage collector may set it in the middle of setting it.
        self._lock = threading.RLock()

    def set(self) -> None:
        with self._lock, contextlib.suppress(OSError):  # closed, or full
            self._writer.send_bytes(b"")

    def clear(self) -> None:
        while self.reader.poll():
            self.reader.recv_bytes()

    def close(self) -> None:
        with self._lock:
            self.reader.close()
            self._writer.close()
