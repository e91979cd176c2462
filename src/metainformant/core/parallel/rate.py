"""The limits on how many tasks are started, or what they cost, in a given time."""

from __future__ import annotations

import time
from contextvars import ContextVar

from .describe import describe
from .errors import ParallelError
from .functions import is_async
from .public import public
from .rate_state import State, held
from .validate import positive

TYPE_CHECKING = False
if not TYPE_CHECKING:
    Protocol = object  # what is described here is for type checkers
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, Protocol

    # The units that a start takes from a limit.
    Charge = tuple["RateLimit", float]


class Charged(Protocol):
    """A call that knows what it was charged."""

    def settle(self, limit: RateLimit, actual: float) -> None:
        """Correct what it took from the limit."""
        ...


# The call that this thread, or this task of asyncio, is in; set by `spending.py`.
charged: ContextVar[Charged | None] = ContextVar("charged", default=None)


@public
class RateLimit:
    """At most so many starts in a given time, evenly spaced; shared by maps, threads and processes.

    Pass it as `rate` to several maps, or call `acquire` in threads of your own: all of them
    together keep within the limit. Processes and other workers far away are counted too, since the
    process that calls their map hands out their tasks.

    Tasks in other processes of this machine can use it too: pass it to them, in `functools.partial`
    or `initargs`, or to a `multiprocessing.Process`. All share it from then on, for as long as the
    process that made it has it, by a temporary file of 16 bytes; each start then costs ten
    microseconds. A limit that a module makes is another one in each process that imports it.

    It is a token bucket, or in other words the generic cell rate algorithm of ITU-T I.371. After a
    pause one start may come early, never more, unless there is a `burst`.

    Args:
        amount: how many starts, or units of `cost`, per `per` seconds; above 0, and it may be a
            fraction.
        per: seconds; 60 for limits per minute.
        burst: how many units may be taken at once after a pause, and at the beginning. In any time
            t there are at most `burst + t * amount / per`, so it should be what the service allows
            on top, not what it allows per minute. By default starts are evenly spaced.
        cost: a function that is called with an item, in the thread of the map, and returns how many
            units its task will take: tokens, bytes. By default each takes one. For
            `parallel_batch` the costs of the items of a batch are added up.

    An item that costs more than there can ever be is started when the limit is full, and those
    after it wait for what it took.

    Raises:
        TypeError, ValueError: for a wrong argument.

    >>> from metainformant.core import parallel
    >>> limit = parallel.RateLimit(60_000, per=60)
    >>> parallel.thread_map(len, ["ATG", "GATTACA"], rate=limit)
    [3, 7]
    >>> letters = parallel.RateLimit(30_000, per=60, cost=len, burst=10_000)
    >>> parallel.thread_map(str.lower, ["ATG", "GATTACA"], rate=[limit, letters])
    ['atg', 'gattaca']
    """

    def __init__(
        self,
        amount: float,
        per: float = 1.0,
        *,
        burst: float | None = None,
        cost: Callable[[Any], float] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        fix = f"RateLimit: amount={amount!r} must be a number of starts or units above 0"
        self.amount: float = positive(amount, fix)
        self.per: float = positive(
            per, f"RateLimit: per={per!r} must be a number of seconds above 0"
        )
        self.burst: float | None = None
        if burst is not None:
            fix = f"RateLimit: burst={burst!r} must be a number of starts or units, at least 1"
            self.burst = positive(burst, fix)
            if self.burst < 1:
                raise ValueError(fix)
        self._cost = _checked_cost(cost)
        self._interval = self.per / self.amount  # seconds in which one unit comes back
        self._clock = clock
        self._state = State()

    @property
    def per_second(self) -> float:
        """Starts, or units, per second."""
        return self.amount / self.per

    @property
    def has_cost(self) -> bool:
        """Whether items differ in what they take."""
        return self._cost is not None

    def with_cost(self, cost: Callable[[Any], float]) -> RateLimit:
        """Return the same limit, with what was taken from it, for items whose cost is another.

        For maps over different kinds of items that share a limit.
        """
        copy = RateLimit(
            self.amount, self.per, burst=self.burst, cost=_checked_cost(cost), clock=self._clock
        )
        copy._state = self._state
        return copy

    def cost_of(self, item: Any) -> float:
        """Return how many units the task of `item` takes."""
        if self._cost is None:
            return 1.0
        try:
            cost = self._cost(item)
        except Exception as error:
            error.add_note(f"RateLimit: cost={self._cost!r} raised this for {describe(item)}")
            raise
        fix = f"RateLimit: cost({describe(item)}) returned {cost!r}; it must return a finite number"
        return positive(cost, f"{fix}, 0 or more", or_zero=True)

    def shares_with(self, other: RateLimit) -> bool:
        """Return whether what is taken from one is taken from the other."""
        return self._state is other._state

    # Taking

    def try_acquire(self, now: float | None = None, cost: float = 1.0) -> float:
        """Take `cost` units if they are there; return 0 if so, and else the seconds until then.

        `now` is what the clock says, `time.monotonic()` by default.
        """
        charge = self, _units("try_acquire: cost", cost)
        return take([charge], self._clock() if now is None else now)

    def acquire(self, cost: float = 1.0) -> None:
        """Take `cost` units, and wait until they are there. For threads of your own.

        Raises:
            TypeError, ValueError: for a wrong argument.
            ParallelError: in a fork with which the limit could not be shared.
        """
        cost = _units("acquire: cost", cost)
        self.check_process("acquire")
        while (seconds := self.try_acquire(cost=cost)) > 0:
            time.sleep(seconds)

    def pause(self, seconds: float) -> None:
        """Let nothing be started for so long: what a server asks for with `Retry-After`.

        Any thread may call it. A pause that ends before one that is already on changes nothing.
        """
        fix = f"RateLimit.pause: seconds={seconds!r} must be a finite number of seconds, 0 or more"
        until = self._clock() + positive(seconds, fix, or_zero=True)
        self.check_process("pause")
        with held([self._state]):
            self._state.paused_until = max(self._state.paused_until, until)

    def settle(self, actual: float, guessed: float | None = None) -> None:
        """Correct what a task has taken: it was `actual`, and not what `cost` had guessed.

        Call it in the task, or in `on_complete` where workers are processes: it knows the item for
        which it is called. What was taken too much is there again at once; what was too little is
        taken from later starts. It also counts for `max_cost`, unless `guessed` is passed: with
        that it can be called anywhere.

        Args:
            actual: the units that were taken in the end.
            guessed: the units that were taken at the start. By default what `cost` says, or 1.

        Raises:
            TypeError, ValueError: for a wrong argument.
            ParallelError: outside of a task, or in one that runs in another process, without
                `guessed`.
        """
        actual = _units("settle: actual", actual)
        self.check_process("settle")
        call = charged.get() if guessed is None else None
        if call is None:
            self.give_back(self._guess(guessed) - actual)
            return
        call.settle(self, actual)

    def _guess(self, guessed: float | None) -> float:
        if guessed is not None:
            return _units("settle: guessed", guessed)
        if self.has_cost:
            raise ParallelError(
                "RateLimit.settle: there is no task whose cost could be corrected; of a map that "
                "has this limit, call it in on_complete, or in the task unless that runs in "
                "another process; or pass guessed=..."
            )
        return 1.0

    def give_back(self, units: float) -> None:
        """Add units that were taken and not used; take them if there are less than none."""
        with held([self._state]):
            if self._state.empty_at is not None:
                self._state.empty_at -= units * self._interval

    def check_process(self, what: str) -> None:
        """Raise ParallelError if this is a copy in another process, where nobody would see it."""
        if self._state.is_foreign:
            raise ParallelError(
                f"RateLimit.{what}: this process is a fork, with which the limit could not be "
                "shared: there was no room for a temporary file (set TMPDIR), or the program had "
                "more than 64 limits (pass this one to the process as an argument that is pickled)"
            )

    def __reduce__(self) -> tuple[Any, ...]:
        self.check_process("pickling")
        settings = (self.amount, self.per, self.burst, self._cost, self._clock)
        return _shared, (self._state.share(), *settings)

    def __repr__(self) -> str:
        per = "" if self.per == 1 else f", per={self.per:g}"
        return f"RateLimit({self.amount:g}{per})"

    # While the state is held

    def _room(self, units: float) -> float:
        """Return for how many seconds units are saved up while nothing is started."""
        return self._interval * (2 * units if self.burst is None else self.burst)

    def _wait(self, units: float, now: float) -> float:
        """Return the seconds until so many units are there; 0 or less if they are."""
        state = self._state
        need = units * self._interval
        if state.empty_at is None:
            state.empty_at = now - (need if self.burst is None else self._room(units))
        at = state.empty_at + min(need, self._room(units))
        return max(at, state.paused_until) - now

    def _take(self, units: float, now: float) -> None:
        state, taken = self._state, units * self._interval
        since = now if state.empty_at is None else state.empty_at
        # Nothing is saved up in a pause, and little while nothing is started otherwise. A start
        # that comes late, by less than its own share of the time, does not delay those after it.
        since = max(since, state.paused_until, now - self._room(units))
        state.empty_at = since + taken

    def _came_late(self, units: float, at: float) -> None:
        state, taken = self._state, units * self._interval
        if state.empty_at is not None:
            state.empty_at = max(state.empty_at, at - self._room(units) + taken)


def _shared(
    path: str,
    amount: float,
    per: float,
    burst: float | None,
    cost: Callable[[Any], float] | None,
    clock: Callable[[], float],
) -> RateLimit:
    """Return a limit that another process shares."""
    limit = RateLimit(amount, per, burst=burst, cost=cost, clock=clock)
    limit._state = State.at(path)
    return limit


def take(charges: Sequence[Charge], now: float) -> float:
    """Take what all charges ask for, and return 0; or take nothing, and return how long to wait.

    So nothing is taken from one limit for a start that another one holds back.
    """
    with held([limit._state for limit, _ in charges]):
        wait = max(limit._wait(units, now) for limit, units in charges)
        if wait > 0:
            return wait
        for limit, units in charges:
            limit._take(units, now)
        return 0.0


def came_late(charges: Sequence[Charge], at: float) -> None:
    """Learn that a start whose units were taken happened later, at the time `at`.

    For those who take a start before they can be sure that nothing will hold it up.
    """
    with held([limit._state for limit, _ in charges]):
        for limit, units in charges:
            limit._came_late(units, at)


def _units(what: str, value: Any) -> float:
    """Return a number of units that was passed to a method of a limit."""
    fix = f"RateLimit.{what}={value!r} must be a number of units, 0 or more"
    return positive(value, fix, or_zero=True)


def _checked_cost(cost: Any) -> Any:
    if cost is not None and (not callable(cost) or is_async(cost)):
        raise TypeError(f"RateLimit: cost={cost!r} must be a plain function that takes an item")
    return cost
