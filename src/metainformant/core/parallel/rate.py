"""The limit on how many tasks are started per second."""

from __future__ import annotations

import threading
import time

from .public import public
from .validate import positive

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


@public
class RateLimit:
    """At most so many starts per second, evenly spaced; to be shared between maps and threads.

    Pass it as `rate` to several maps, or call `acquire` in threads of your own: all of them
    together keep within the limit. After a pause one start may come early, never more, as in the
    generic cell rate algorithm of ITU-T I.371 with a tolerance of one interval.

    Args:
        per_second: starts per second, above 0; it may be below 1.

    A server that says when to come again can be heeded for all tasks at once, by a `backoff` that
    calls `pause`:

        def backoff(attempt, error):
            seconds = float(error.headers["Retry-After"])
            limit.pause(seconds)
            return seconds

    >>> from metainformant.core import parallel
    >>> limit = parallel.RateLimit(1000)
    >>> parallel.thread_map(len, ["ATG", "GATTACA"], rate=limit)
    [3, 7]
    """

    def __init__(self, per_second: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        fix = f"RateLimit: per_second={per_second!r} must be a number of starts per second above 0"
        self.per_second = positive(per_second, fix)
        self._interval = 1 / self.per_second
        self._clock = clock
        self._lock = threading.Lock()
        self._next = 0.0  # when the next start was due; under the lock
        self._began = False  # under the lock

    def try_acquire(self, now: float | None = None) -> float:
        """Take one start if it is due; return 0 if so, and else the seconds until it will be.

        `now` is what the clock says, `time.monotonic()` by default.
        """
        if now is None:
            now = self._clock()
        with self._lock:
            if not self._began:
                self._began = True
                self._next = now
            if now < self._next:
                return self._next - now
            # A start that comes late, by less than an interval, does not delay those after it.
            self._next = max(self._next, now - self._interval) + self._interval
            return 0.0

    def started(self, at: float) -> None:
        """Learn that a start that was taken came late, at the time `at`.

        For those who take a start before they can be sure that nothing will hold it up.
        """
        with self._lock:
            self._next = max(self._next, at)

    def acquire(self) -> None:
        """Take one start, and wait until it is due. For threads of your own."""
        while (seconds := self.try_acquire()) > 0:
            time.sleep(seconds)

    def pause(self, seconds: float) -> None:
        """Let nothing be started for so long: what a server asks for with `Retry-After`.

        Any thread may call it. A pause that ends before one that is already on changes nothing.
        """
        fix = f"RateLimit.pause: seconds={seconds!r} must be a finite number of seconds, 0 or more"
        seconds = positive(seconds, fix, or_zero=True)
        with self._lock:
            # Plus the interval that a start may come early.
            until = self._clock() + seconds + self._interval
            self._next = max(self._next, until) if self._began else until
            self._began = True

    def __repr__(self) -> str:
        return f"RateLimit({self.per_second:g})"
