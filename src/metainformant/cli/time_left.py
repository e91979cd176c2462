"""An estimate of the time that a run still takes."""

from __future__ import annotations

from collections import deque

_WINDOW_SECONDS = 30.0
_SAMPLE_SECONDS = 0.5


class TimeLeft:
    """An estimate from the speed of the last half minute, whatever the total was meanwhile."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque([(0.0, 0)])

    def update(self, seconds: float, done: int, total: int | None) -> float | None:
        """Return how many seconds are left; None if that can't be told.

        Args:
            seconds: since the begin of the run.
            done: how many records have come out of the map.
            total: how many there are, about; None if that is not known.
        """
        samples = self._samples
        if seconds - samples[-1][0] >= _SAMPLE_SECONDS:
            samples.append((seconds, done))
        while len(samples) > 1 and samples[1][0] <= seconds - _WINDOW_SECONDS:
            samples.popleft()
        since, before = samples[0]
        if total is None or done <= before:
            return None
        return max(total - done, 0) * (seconds - since) / (done - before)
