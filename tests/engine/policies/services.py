"""Services in simulated time, and a client that calls them as a controller of concurrency says."""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Sequence
from typing import NamedTuple, Protocol

# Limits that change: from when on which one holds.
Limits = Sequence[tuple[float, float]]


class Controller(Protocol):
    """What says how many calls are made at a time."""

    @property
    def workers(self) -> int: ...

    @property
    def next_wakeup(self) -> float: ...

    def allowed(self, now: float) -> int: ...

    def ended(self, now: float, started: float, items: int, in_use: int) -> None: ...

    def refused(self, now: float, started: float, in_use: int) -> None: ...

    def paused(self, now: float) -> None: ...


class Answer(NamedTuple):
    seconds: float  # how long it takes
    ok: bool = True
    retry_after: float | None = None


class Service:
    """A service whose calls take 0.2 s, give or take a tenth; a refusal comes sooner."""

    seconds = 0.2

    def __init__(self, seed: int = 0) -> None:
        self.random = random.Random(seed)

    def answer(self, now: float) -> Answer:
        """Return what comes of a call that is made now."""
        raise NotImplementedError

    def succeeded(self) -> None:
        """Learn that a call has ended that was not refused."""

    def _duration(self) -> float:
        return self.seconds * self.random.uniform(0.9, 1.1)

    def _refusal(self, retry_after: float | None = None) -> Answer:
        return Answer(0.03 * self.random.uniform(0.5, 1.5), ok=False, retry_after=retry_after)


class PerSecond(Service):
    """A token bucket of a few calls, which refuses those that come when it is empty."""

    def __init__(self, seed: int, limits: Limits) -> None:
        super().__init__(seed)
        self._limits = limits
        self._tokens = self._burst = 5.0
        self._at = 0.0

    def answer(self, now: float) -> Answer:
        since = self._at
        self._tokens = min(self._burst, self._tokens + (now - since) * _at(self._limits, now))
        self._at = now
        if self._tokens < 1:
            return self._refusal()
        self._tokens -= 1
        return Answer(self._duration())


class PerMinute(Service):
    """A quota per minute of the clock. Then all calls are refused until the next one."""

    def __init__(self, seed: int, quota: int, *, tells: bool) -> None:
        super().__init__(seed)
        self._quota = self._left = quota
        self._tells = tells
        self._minute = 0

    def answer(self, now: float) -> Answer:
        minute = int(now // 60)
        if minute != self._minute:
            self._minute, self._left = minute, self._quota
        if not self._left:
            return self._refusal((minute + 1) * 60 - now if self._tells else None)
        self._left -= 1
        return Answer(self._duration())


class AtOnce(Service):
    """So many calls at a time; further ones are refused."""

    def __init__(self, seed: int, limits: Limits) -> None:
        super().__init__(seed)
        self._limits = limits
        self._running = 0

    def answer(self, now: float) -> Answer:
        if self._running >= _at(self._limits, now):
            return self._refusal()
        self._running += 1
        return Answer(self._duration())

    def succeeded(self) -> None:
        self._running -= 1


class Knee(Service):
    """So many calls at a time; further ones wait for their turn."""

    def __init__(self, seed: int, knee: int, seconds: float = 0.2) -> None:
        super().__init__(seed)
        self.seconds = seconds
        self._free_at = [0.0] * knee

    def answer(self, now: float) -> Answer:
        end = max(now, heapq.heappop(self._free_at)) + self._duration()
        heapq.heappush(self._free_at, end)
        return Answer(end - now)


def _at(limits: Limits, now: float) -> float:
    return [limit for since, limit in limits if since <= now][-1]


class Result(NamedTuple):
    seconds: float
    refused: float  # calls per item, once 200 items are done
    most: int  # calls that were in flight at a time
    done_at: list[float]

    def speed(self, since: float, until: float) -> float:
        """Return how many items were done per second in that time."""
        return sum(since <= at < until for at in self.done_at) / (until - since)


class Client:
    """What calls a service for each of some items, as the engine does."""

    def __init__(self, service: Service, controller: Controller, items: int) -> None:
        self._service = service
        self._controller = controller
        self._items = self._new = items
        self._random = random.Random(1)
        self._now = 0.0
        self._numbers = 0
        # Heaps: calls in flight by their ends, and refused items by when they are due.
        self._calls: list[tuple[float, int, float, Answer, int]] = []
        self._waiting: list[tuple[float, int, int]] = []
        self._paused_until = 0.0
        self._refused = 0
        self._most = 0
        self._done_at: list[float] = []
        # For controllers of rates, which want to know of each start.
        self._tell_start = getattr(controller, "began", None)

    def run(self, until: float = math.inf) -> Result:
        while len(self._done_at) < self._items and self._now < until:
            self._start_calls()
            starts_at = self._next_start()
            if self._calls and self._calls[0][0] <= starts_at:
                self._end_call()
            else:
                assert starts_at < math.inf
                self._now = max(starts_at, math.nextafter(self._now, math.inf))
        late = self._refused / max(1, self._items - 200)
        return Result(self._now, late, self._most, self._done_at)

    def _start_calls(self) -> None:
        while self._now >= self._paused_until:
            if len(self._calls) >= self._controller.allowed(self._now):
                return
            if self._waiting and self._waiting[0][0] <= self._now:
                tries = heapq.heappop(self._waiting)[2]
            elif self._new:
                self._new -= 1
                tries = 0
            else:
                return
            answer = self._service.answer(self._now)
            self._numbers += 1
            end = self._now + answer.seconds
            heapq.heappush(self._calls, (end, self._numbers, self._now, answer, tries))
            self._most = max(self._most, len(self._calls))
            if self._tell_start is not None:
                self._tell_start(self._now)

    def _next_start(self) -> float:
        """Return when a call may be made if none ends before."""
        at = max(self._now, self._controller.next_wakeup, self._paused_until)
        if not self._new:
            at = max(at, self._waiting[0][0]) if self._waiting else math.inf
        return at if len(self._calls) < max(1, self._controller.allowed(at)) else math.inf

    def _end_call(self) -> None:
        in_use = len(self._calls)
        self._now, _, started, answer, tries = heapq.heappop(self._calls)
        if answer.ok:
            self._service.succeeded()
            self._done_at.append(self._now)
            self._controller.ended(self._now, started, 1, in_use)
            return
        self._refused += len(self._done_at) >= 200
        self._controller.refused(self._now, started, in_use)
        delay = answer.retry_after
        if delay is None:
            delay = self._random.uniform(0, min(60, 2.0**tries) if tries else 0.1)  # as `Retries`
        else:
            self._paused_until = max(self._paused_until, self._now + delay)
            self._controller.paused(self._paused_until)
        self._numbers += 1
        heapq.heappush(self._waiting, (self._now + delay, self._numbers, tries + 1))
