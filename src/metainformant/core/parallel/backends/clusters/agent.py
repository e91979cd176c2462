"""The seats of one worker process, and the messages that go to and from them.

An agent belongs to one map. Its coroutines are called in the event loop of the cluster's worker;
its seats run in threads of that worker.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import pickle
import threading
from time import monotonic
from typing import TYPE_CHECKING, Any

from ...describe import error_in_words
from ...worker import context
from ..ipc.items import with_sealed
from ..ipc.out_of_band import BufferedPickle
from .messages import (
    EndProcess,
    EndSeat,
    Finish,
    Forget,
    Hello,
    Permit,
    Recall,
    RunChunk,
    SeatEnded,
    Setup,
    Stop,
    opened,
)
from .seat import Seat, broken_by

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...worker.setup import Preparation
    from .messages import Command, Report

# Seconds after which a poll is answered in any case, as a sign of life.
_LONGEST_POLL = 1.0
# Seconds without a poll after which the map is taken to be gone.
_ABANDONED_SECONDS = 30.0

# The agents of this process that are open, by token. Added to and removed from in the event loop;
# looked up by seats. Each operation is atomic.
_open: dict[str, Agent] = {}


class Agent:
    """The part of a worker that commands its seats, and answers polls with their reports.

    Args:
        worker: the name of the worker for messages.
        can_end: whether the process may end itself if it has a call that can't be ended: nothing
            else runs in it, and another process takes its place.

    Attributes:
        token: unlike that of any other agent, in whatever process.
    """

    def __init__(self, worker: str, *, can_end: bool) -> None:
        self._worker = worker
        self._can_end = can_end
        self.token: str = os.urandom(16).hex()
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._told = asyncio.Event()  # whether the map knows that all is over, or is gone itself
        self._setup: tuple[Setup, Any, Preparation] | None = None
        self._next_report = 0.0
        self._last_poll = monotonic()
        # Guarded by the lock, as seats add to them from their threads:
        self._lock = threading.Lock()
        self._reports: list[BufferedPickle] = []
        self._is_urgent = False
        self._seats: dict[int, Seat | None] = {}  # None: it has ended, and is never run again
        self._is_closed = False
        self._left: list[Callable[[], int]] = []  # tell of ended seats how many calls still run

    @property
    def is_over(self) -> bool:
        """Whether the map has been told that no seat is left, or is gone itself."""
        return self._told.is_set()

    @property
    def is_idle(self) -> bool:
        """Whether no call runs that a seat had to leave behind."""
        with self._lock:
            return not any(count() for count in self._left)

    # The event loop of the worker

    def open(self, pickled: bytes, interval: float) -> bytes:
        """Read the setup of the map; return a Hello. Reports are sent every `interval` seconds."""
        setup: Setup = pickle.loads(pickled)._replace(interval=interval)
        problem = ""
        try:
            func, preparation = opened(setup)
            self._setup = setup, with_sealed(func), preparation
            if multiprocessing.current_process().daemon:
                context.is_worker = True  # such a process may start no others
            _open[self.token] = self
            self._watch_polls()
        except Exception as error:
            problem = str(error) or error_in_words(error)
            self._told.set()
        return pickle.dumps(Hello(self.token, self._worker, os.getpid(), problem))

    def post(self, token: str, pickled: BufferedPickle) -> None:
        """Take commands. Those for an agent that was in a process of before are refused."""
        if token != self.token:
            raise ConnectionError("this is another process than the one that was meant")
        commands: list[Command] = pickled.load()
        seats: set[Seat] = set()
        for command in commands:
            self._obey(command, seats)
        for seat in seats:
            seat.wake()

    async def poll(self, token: str) -> list[BufferedPickle] | None:
        """Return reports, once there are any that should be sent; None when all is over."""
        if token != self.token:
            raise ConnectionError("this is another process than the one that was meant")
        self._last_poll = now = monotonic()
        until = now + _LONGEST_POLL
        while True:
            self._news.clear()
            with self._lock:
                has_reports, is_urgent = bool(self._reports), self._is_urgent
                is_over = self._is_closed and not any(self._seats.values())
            if is_urgent or is_over or now >= until or (has_reports and now >= self._next_report):
                break
            wait = (self._next_report if has_reports else until) - now
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), max(0.001, wait))
            now = monotonic()
        with self._lock:
            reports, self._reports = self._reports, []
            self._is_urgent = False
        if is_over and not reports:
            self._told.set()
            return None
        if self._setup is not None:
            self._next_report = monotonic() + self._setup[0].interval
        return reports

    def _watch_polls(self) -> None:
        """Give up when nobody has asked for long: the map is gone, and will not come back."""
        if self._told.is_set():
            return
        if monotonic() > self._last_poll + _ABANDONED_SECONDS:
            self.abandon()
        else:
            self._loop.call_later(_LONGEST_POLL, self._watch_polls)

    def _obey(self, command: Command, seats: set[Seat]) -> None:
        if isinstance(command, Finish | Stop):
            self._close(Seat.finish if isinstance(command, Finish) else Seat.stop)
            return
        if isinstance(command, EndProcess):
            os._exit(1)
        seat = self._seats.get(command.seat)
        if seat is None:
            return  # it has ended, which the map learns from its reports
        match command:
            case RunChunk():
                seat.source.add(command)
            case Permit():
                seat.source.permit(command.number, command.stop)
                seats.add(seat)
            case Forget():
                seat.source.forget(command.number)
                seats.add(seat)
            case Recall():
                seat.recall()
            case EndSeat():
                seat.leave()

    async def leave(self) -> None:
        """Let seats finish what they are running, give back the rest, and wait until all is told.

        The map has to go on asking for reports meanwhile; if it does not, its calls are given up.
        """
        self._close(Seat.leave)
        await self._told.wait()

    def abandon(self) -> None:
        """Stop the seats, since nobody hears of them any more."""
        self._close(Seat.stop)
        self._told.set()

    def _close(self, end: Callable[[Seat], None]) -> None:
        """Open no more seats, and end those that there are."""
        with self._lock:
            self._is_closed = True
            seats = [seat for seat in self._seats.values() if seat is not None]
        _open.pop(self.token, None)
        for seat in seats:
            end(seat)
        self._news.set()

    # The threads of the seats

    def run_seat(self, number: int) -> None:
        """Be a seat until it ends. A seat is only run once, however often it is called for."""
        with self._lock:
            if self._is_closed or self._setup is None or number in self._seats:
                return
            self._seats[number] = seat = self._make_seat(number, *self._setup)
        try:
            if seat is not None:
                seat.run()
        finally:
            with self._lock:
                self._seats[number] = None
                if seat is not None:
                    self._left.append(seat.abandoned)
            self._wake()

    def _make_seat(
        self, number: int, setup: Setup, func: Any, preparation: Preparation
    ) -> Seat | None:
        most = 0 if self._can_end else setup.max_abandoned
        try:
            return Seat(
                number, setup, func, preparation, self._worker, most, self._send, self._flush
            )
        except Exception as error:  # the map waits for a word of it
            self._reports.append(
                BufferedPickle.of(SeatEnded(number, broken_by(error, self._worker)))
            )
            self._is_urgent = True
            return None

    def _send(self, report: Report, urgent: bool) -> None:
        pickled = BufferedPickle.of(report)
        with self._lock:
            is_news = not self._reports
            self._reports.append(pickled)
        # A seat that has nothing to run waits for this.
        if urgent or isinstance(report, SeatEnded):
            self._flush()
        elif is_news:
            self._wake()  # the others are waited for already

    def _flush(self) -> None:
        with self._lock:
            if not self._reports or self._is_urgent:
                return
            self._is_urgent = True
        self._wake()

    def _wake(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._news.set)
        except RuntimeError:  # the worker is closing
            return


def run_seat(token: str, number: int) -> None:
    """Be a seat of an agent in this process; do nothing if there is no such agent any more."""
    agent = _open.get(token)
    if agent is not None:
        agent.run_seat(number)
