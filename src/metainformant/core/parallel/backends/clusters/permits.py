"""How far workers may run ahead of what they have reported, and how often they report.

Pure. Whatever a worker was permitted to start and has not reported is lost if it dies; and until
more is permitted it waits. So it may have work for a few reports, and no more.
"""

from __future__ import annotations

# Seconds between two reports of a worker process that is getting on, at least. All processes and
# all seats together send so many reports per second at most that one client can read them.
_MIN_INTERVAL = 0.03
_SECONDS_PER_PROCESS = 0.006
_SECONDS_PER_SEAT = 0.0012
# Reports within which permitted work should last.
_REPORTS_AHEAD = 3
# Weight of earlier reports in the measured speed, against the newest one.
_DECAY = 0.7
# Without a report for so many times the seconds that permitted work should last, items have become
# slower than they were: then what is not started is asked back.
_PATIENCE = 2


def report_interval(processes: int, seats: int) -> float:
    """Return the seconds between two reports of a worker process."""
    return max(_MIN_INTERVAL, _SECONDS_PER_PROCESS * processes, _SECONDS_PER_SEAT * seats)


class Permits:
    """The permission of one seat. Owned by the engine's thread.

    Args:
        interval: seconds between two of its reports.
    """

    def __init__(self, interval: float) -> None:
        self._window = interval * _REPORTS_AHEAD
        self._items = 0.0  # items and seconds reported, older ones weighing less
        self._seconds = 0.0

    def reported(self, items: int, seconds: float) -> None:
        """Learn how long some items took."""
        if items:
            self._items = self._items * _DECAY + items
            self._seconds = self._seconds * _DECAY + max(seconds, 1e-7 * items)

    def ahead(self) -> int:
        """Return how many items may be permitted and not reported: at least one."""
        if not self._items:
            return 1
        return max(1, int(self._window * self._items / self._seconds))

    def is_long(self, silent_seconds: float) -> bool:
        """Return whether an item is slower than it should be, since so long nothing was reported.

        Then what is permitted and not started should be asked back, and nothing wait behind it.
        """
        return silent_seconds > _PATIENCE * self._window
