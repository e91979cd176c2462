"""Published controllers of concurrency, as far as their descriptions go, for comparison.

`python -m tests.engine.policies.rivals` prints what each makes of the services of the tests.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable

from metainformant.core.parallel.auto import Auto
from metainformant.core.parallel.engine.policies.concurrency import Concurrency

from .services import AtOnce, Client, Controller, Knee, PerMinute, PerSecond, Service


class Simple:
    """What the rivals have in common: a limit between 1 and 256, and no pauses of their own."""

    def __init__(self) -> None:
        self.limit = 8.0

    @property
    def next_wakeup(self) -> float:
        return -math.inf

    @property
    def workers(self) -> int:
        return int(min(max(self.limit, 1), 256))

    def allowed(self, now: float) -> int:
        return self.workers

    def ended(self, now: float, started: float, items: int, in_use: int) -> None:
        pass

    def refused(self, now: float, started: float, in_use: int) -> None:
        pass

    def paused(self, now: float) -> None:
        pass


class AIMD(Simple):
    """One more per round, half after a refusal (Chiu and Jain 1989; TCP Reno)."""

    def ended(self, now: float, started: float, items: int, in_use: int) -> None:
        if in_use >= self.workers:
            self.limit = min(256, self.limit + 1 / self.limit)

    def refused(self, now: float, started: float, in_use: int) -> None:
        self.limit = max(1, self.limit / 2)


class Gradient2(Simple):
    """The ratio of long and short averages of the latency (Netflix, concurrency-limits)."""

    def __init__(self) -> None:
        super().__init__()
        self.long = 0.0

    def ended(self, now: float, started: float, items: int, in_use: int) -> None:
        seconds = now - started
        self.long = self.long + (seconds - self.long) * 2 / 601 if self.long else seconds
        if self.long / seconds > 2:
            self.long *= 0.95
        if in_use < self.workers / 2:
            return
        gradient = max(0.5, min(1.0, 1.5 * self.long / seconds))
        self.limit = 0.8 * self.limit + 0.2 * (self.limit * gradient + 4)
        self.limit = min(256, max(1, self.limit))


class Cubic(Simple):
    """CUBIC on the rate of calls (AWS SDKs, adaptive retries; the curve is that of RFC 9438)."""

    _BETA, _SCALE = 0.7, 0.4

    def __init__(self) -> None:
        super().__init__()
        self.limit = 256.0
        self._rate = math.inf
        self._most = 0.0
        self._failed_at = 0.0
        self._next = 0.0
        self._ended: list[float] = []

    def _measured(self, now: float) -> float:
        self._ended = [at for at in self._ended if at > now - 0.5]
        return max(0.5, 2 * len(self._ended))

    def ended(self, now: float, started: float, items: int, in_use: int) -> None:
        self._ended.append(now)
        if self._rate < math.inf:
            zero = (self._most * (1 - self._BETA) / self._SCALE) ** (1 / 3)
            cubic = self._SCALE * (now - self._failed_at - zero) ** 3 + self._most
            self._rate = max(0.5, min(cubic, 2 * self._measured(now)))

    def refused(self, now: float, started: float, in_use: int) -> None:
        self._ended.append(now)
        self._most = min(self._rate, self._measured(now))
        self._failed_at = now
        self._rate = max(0.5, self._BETA * self._most)

    @property
    def next_wakeup(self) -> float:
        return self._next

    def allowed(self, now: float) -> int:
        return 0 if now < self._next else self.workers

    def began(self, now: float) -> None:
        """Learn that a call has begun."""
        if self._rate < math.inf:
            self._next = max(self._next, now - 0.1) + 1 / self._rate


class Inspect(Simple):
    """Doubling, then 5 % per clean round, and 0.8 at most every 15 s (inspect_ai)."""

    def __init__(self) -> None:
        super().__init__()
        self.limit = 20.0
        self._clean = 0
        self._is_doubling = True
        self._cut_at = -math.inf

    def ended(self, now: float, started: float, items: int, in_use: int) -> None:
        self._clean += 1
        if self._clean >= max(self.workers, 4):
            self._clean = 0
            more = self.limit if self._is_doubling else max(1, 0.05 * self.limit)
            self.limit = min(200, self.limit + more)

    def refused(self, now: float, started: float, in_use: int) -> None:
        self._clean = 0
        self._is_doubling = False
        if now >= self._cut_at + 15:
            self._cut_at = now
            self.limit = max(4, self.limit * 0.8)


def ours() -> Controller:
    return Concurrency(Auto(), 0.0)


# Name, service, items, and the seconds that they take at best.
SCENARIOS: list[tuple[str, Callable[[int], Service], int, float]] = [
    ("40 per second", lambda seed: PerSecond(seed, [(0, 40)]), 2000, 50),
    ("2,400 per minute", lambda seed: PerMinute(seed, 2400, tells=False), 7200, 124),
    ("the same, told", lambda seed: PerMinute(seed, 2400, tells=True), 7200, 124),
    ("25 at once", lambda seed: AtOnce(seed, [(0, 25)]), 4000, 32),
    ("a knee at 16", lambda seed: Knee(seed, 16), 3000, 37.5),
]


def _print_table() -> None:
    sys.stdout.write(f"{'':18}{'':12} time / best  refused / item  most in flight\n")
    for name, make, items, best in SCENARIOS:
        for make_controller in (ours, AIMD, Gradient2, Cubic, Inspect):
            result = Client(make(0), make_controller(), items).run(until=10 * best)
            rival = getattr(make_controller, "__name__", "")
            ended = "" if len(result.done_at) == items else ">"
            sys.stdout.write(
                f"{name:18}{rival:12}{ended:1}{result.seconds / best:9.2f}"
                f"{result.refused:14.3f}{result.most:14}\n"
            )


if __name__ == "__main__":
    _print_table()
