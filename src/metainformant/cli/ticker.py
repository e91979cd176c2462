"""A function that is called every tenth of a second while the map runs."""

from __future__ import annotations

import threading
from collections.abc import Callable

_TICK_SECONDS = 0.1


class Ticker:
    """A context manager whose thread calls `tick` every tenth of a second.

    `tick` may block: nothing else runs in this thread.
    """

    def __init__(self, tick: Callable[[], None]) -> None:
        self._tick = tick
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ticker", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(_TICK_SECONDS):
            self._tick()
