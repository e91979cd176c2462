"""The hand-over of a run from the engine's thread to those that show it."""

from __future__ import annotations

import threading
from time import sleep

from ..report.live_page import live_sections

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..report.markup import Markup

# Seconds between two parts of a page that is made: about as long as one of them takes.
_PAUSE_SECONDS = 0.001


class Shown:
    """The data of a run, a number that grows with each, and whether the run has ended."""

    __slots__ = ("_lock", "_sections", "is_last", "run", "version")

    def __init__(self, run: dict[str, Any], version: int, *, is_last: bool) -> None:
        self.run: dict[str, Any] = run
        self.version: int = version
        self.is_last: bool = is_last
        self._lock = threading.Lock()
        self._sections: Markup | None = None  # under the lock; None until somebody wants them

    def sections(self) -> Markup:
        """Return the data as sections of the page, made once for all browsers."""
        with self._lock:
            if self._sections is None:
                pause = 0.0 if self.is_last else _PAUSE_SECONDS  # at the end nobody else runs
                # Others may have the GIL then; without that they would wait 5 ms for it.
                self._sections = live_sections(self.run, lambda: sleep(pause))
            return self._sections


class LiveFeed:
    """The newest data of a run, made only while somebody waits for it.

    The engine's thread calls `wants_run` and `put`, threads of the server call the others. Nobody
    holds the lock while it computes or writes, so that no reader ever delays the engine. The data
    that are put belong to nobody: no thread changes them any more.
    """

    def __init__(self, run: dict[str, Any]) -> None:
        self._changed = threading.Condition()
        # Under the lock of the condition:
        self._shown = Shown(run, 1, is_last=False)
        self._waiting = 0  # how many threads want something newer

    def wants_run(self) -> bool:
        """Return whether somebody waits for newer data."""
        with self._changed:
            return self._waiting > 0

    def put(self, run: dict[str, Any], *, is_last: bool = False) -> None:
        """Hand over what is known of the run by now, and wake those that wait."""
        with self._changed:
            self._shown = Shown(run, self._shown.version + 1, is_last=is_last)
            self._changed.notify_all()

    def newest(self) -> Shown:
        """Return what was put last, which may be old."""
        with self._changed:
            return self._shown

    def wait_newer(self, version: int, timeout: float) -> Shown | None:
        """Return newer data, or the last; None if there are none within `timeout` seconds."""
        with self._changed:
            self._waiting += 1
            try:
                is_there = self._changed.wait_for(
                    lambda: self._shown.version > version or self._shown.is_last, timeout
                )
            finally:
                self._waiting -= 1
            return self._shown if is_there else None

    def pause(self, seconds: float) -> None:
        """Wait for so long, but not beyond the end of the run."""
        with self._changed:
            self._changed.wait_for(lambda: self._shown.is_last, seconds)
