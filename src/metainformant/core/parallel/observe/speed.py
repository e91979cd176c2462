"""The recent speed of a run, and the time that it still takes at that speed. Pure."""

from __future__ import annotations

from collections import deque

# The speed is that of the last so many seconds, from samples that far apart.
_WINDOW_SECONDS = 30.0
_SAMPLE_SECONDS = 0.5


class Speed:
    """An estimate from what was finished lately, so that it follows a run that changes."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque([(0.0, 0)])
        self._rate = 0.0

    def update(self, elapsed: float, done: int) -> float:
        """Return the items per second, when `done` are finished `elapsed` seconds after the begin.

        >>> speed = Speed()
        >>> [speed.update(at, 10 * at) for at in (1, 2)], speed.update(100, 20)
        ([10.0, 10.0], 0.0)
        """
        samples = self._samples
        if elapsed - samples[-1][0] >= _SAMPLE_SECONDS:
            samples.append((elapsed, done))
        while len(samples) > 1 and samples[1][0] <= elapsed - _WINDOW_SECONDS:
            samples.popleft()
        since, before = samples[0]
        if elapsed > since:
            self._rate = max(0, done - before) / (elapsed - since)
        return self._rate


def time_left(rate: float, done: int, total: int | None) -> float | None:
    """Return how many seconds are left at that rate; None if that can't be told.

    >>> time_left(2.0, 4, 10), time_left(0.0, 4, 10), time_left(2.0, 4, None)
    (3.0, None, None)
    """
    if total is None or rate <= 0:
        return None
    return max(0, total - done) / rate
