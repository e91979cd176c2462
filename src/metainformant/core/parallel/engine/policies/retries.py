"""The choice of failures that are tried again, and when. Owned by the engine's thread."""

from __future__ import annotations

import heapq
import math
import random
from typing import NamedTuple

from ...errors import FATAL, TaskTimeoutError
from ..source import Chunk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ...calls import MapCall

# Delays that double stop growing here, in seconds.
_LONGEST_DELAY = 60.0
# How much longer than after a failure an item waits after a refusal.
_REFUSAL_FACTOR = 10


# Of the errors of earlier attempts, so many of the first and of the last are kept.
_KEPT = 3


class _Waiting(NamedTuple):
    due: float
    number: int  # what is due together keeps its order; and items need not be comparable
    chunk: Chunk  # of one item


class Retries:
    """The items that wait for another attempt. They occupy no worker.

    By default an attempt n that failed is followed by a delay drawn from 0 to
    `backoff * 2 ** (n - 1)` seconds, at most a minute. That is the "full jitter" of Brooker,
    "Exponential Backoff and Jitter", AWS Architecture Blog 2015: it spreads those that failed
    together.
    """

    def __init__(
        self, call: MapCall, uniform: Callable[[float, float], float] | None = None
    ) -> None:
        self._caller = call.caller
        self._options = call.options
        self._finds_workers = call.workers.auto is not None
        self._uniform = uniform or random.Random().uniform  # noqa: S311  # no secret
        self._waiting: list[_Waiting] = []  # a heap
        self._number = 0  # of those that have waited
        self.count: int = 0  # how many retries there were, without those after refusals

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def next_due(self) -> float:
        return self._waiting[0].due if self._waiting else math.inf

    def again(self, chunk: Chunk, index: int, error: BaseException, now: float) -> bool:
        """Return whether the item that failed gets another attempt, which then waits here."""
        failures = chunk.attempt - chunk.throttled
        if failures > self._options.retries or not self._worth(error):
            return False
        self.count += 1
        self._add(chunk, index, error, now + self._delay(chunk.attempt, error), chunk.throttled)
        return True

    def after_refusal(
        self, chunk: Chunk, index: int, error: BaseException, now: float, pause: float | None
    ) -> None:
        """Let an item wait that a service has refused, for the pause that it asked for.

        If it asked for none, a service that is asked again too soon refuses again: so delays are
        ten times those of failures. But a map that finds out how many calls to make at a time makes
        fewer after a refusal, so the first one of an item says nothing about its next attempt.
        """
        backoff, throttled = self._options.backoff, chunk.throttled + 1
        if callable(backoff):
            delay = max(pause or 0.0, self._delay(chunk.attempt, error))
        elif pause is None:
            is_made_good = throttled == 1 and self._finds_workers
            delay = self._jitter(backoff if is_made_good else _REFUSAL_FACTOR * backoff, throttled)
        else:
            delay = pause + self._jitter(backoff, 1)
        self._add(chunk, index, error, now + delay, throttled)

    def _add(
        self, chunk: Chunk, index: int, error: BaseException, due: float, throttled: int
    ) -> None:
        past = (*_abridged(chunk.past), (chunk.attempt, _in_short(error)))
        start, attempt = index, chunk.attempt + 1
        again = Chunk(chunk.base, chunk.origin, start, start + 1, attempt, past, throttled)
        self._number += 1
        heapq.heappush(self._waiting, _Waiting(due, self._number, again))

    def take_due(self, now: float) -> list[Chunk]:
        """Remove and return the chunks that are due, in the order in which they came due."""
        due = []
        while self._waiting and self._waiting[0].due <= now:
            due.append(heapq.heappop(self._waiting).chunk)
        return due

    def take_all(self) -> list[Chunk]:
        return self.take_due(math.inf)

    def _worth(self, error: BaseException) -> bool:
        if isinstance(error, FATAL):
            return False
        worth = self._options.retry_on
        return isinstance(error, worth) if isinstance(worth, tuple) else bool(worth(error))

    def _delay(self, attempt: int, error: BaseException) -> float:
        backoff = self._options.backoff
        if not callable(backoff):
            return self._jitter(backoff, attempt)
        delay = backoff(attempt, error)
        seconds = _number(delay)
        if not 0 <= seconds < math.inf:
            raise ValueError(
                f"{self._caller}: backoff({attempt}, {error!r}) returned {delay!r}; "
                "it must return a number of seconds, 0 or more"
            )
        return seconds

    def _jitter(self, backoff: float, attempt: int) -> float:
        # 2.0 ** 1024 would overflow, and everything is capped long before.
        return self._uniform(0, min(_LONGEST_DELAY, backoff * 2.0 ** min(attempt - 1, 1000)))


def _number(value: Any) -> float:
    """Any kind of number as a float, NumPy's among them; NaN for what is none."""
    if isinstance(value, (bool, str, bytes)):
        return math.nan
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def _abridged(past: tuple[tuple[int, str], ...]) -> tuple[tuple[int, str], ...]:
    """Without one from the middle, if the next one would be too many."""
    return past if len(past) < 2 * _KEPT else (*past[:_KEPT], *past[_KEPT + 1 :])


def _in_short(error: BaseException) -> str:
    if isinstance(error, TaskTimeoutError):
        return f"{type(error).__name__}: longer than timeout={error.seconds:g} s"
    try:
        text = str(error)
    except Exception:
        text = "?"
    text = text if len(text) <= 100 else f"{text[:97]}..."
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
