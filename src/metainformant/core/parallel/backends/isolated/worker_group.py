"""The workers of one map: hired, watched, replaced and let go."""

from __future__ import annotations

import math
from time import monotonic
from typing import Any

from ...errors import ParallelError
from ...host.memory import used_memory
from ...options import Plan
from ..ipc.poller import Watch
from .handle import Hand
from .requests import pack_function
from .worker_pool import Staff

# The factor of `memory_limit` beyond which workers are killed within an item.
_FAR_TOO_MUCH = 1.5
# Seconds that a worker has to come back from a call that was given up, before it is killed.
_GRACE = 0.02


class Crew:
    """Owned by the engine's thread."""

    def __init__(self, plan: Plan, staff: Staff) -> None:
        self._label = plan.caller
        self._memory_limit = plan.memory_limit
        self._staff = staff
        self._function = pack_function(plan.caller, plan.func) if staff.needs_function else None
        self.hands: list[Hand] = []
        self.wanted = 0  # how many the engine counts on; some may have to be started yet
        self.watch: Any = Watch()  # on all that the workers say
        self._left_behind: list[Hand] = []  # those that can't be killed

    def hire(self) -> None:
        while len(self.hands) < self.wanted:
            hand = self._staff.hire(alone=not self.hands)
            if hand is None:
                return  # asked for again before long
            self.hands.append(hand)
            for handle in (hand.channel.reader, *hand.sentinels()):
                self.watch.add(handle, hand)

    def teach(self, hand: Hand) -> None:
        """See to it that a worker that listens knows the function; OSError if that can't be."""
        if self._function is not None and hand.function != self._function[0]:
            parcel, parts = self._function
            hand.channel.send_parcel(parcel, parts, "function", self._label)
            hand.function = parcel if parcel.body else None

    def replace(self) -> None:
        """Start workers in place of those that were killed after their jobs were given up."""
        try:
            self.hire()
        except ParallelError:
            if not self.hands:
                raise
            self.wanted = len(self.hands)

    def parted(self, hand: Hand) -> None:
        """A job was given up while this worker had it. It may come back soon.

        The engine no longer counts on the worker. If it then asks for another, that is this one if
        it comes back, and else a new one as soon as this one was killed.
        """
        self.wanted -= 1
        self.hurry(hand)

    def hurry(self, hand: Hand) -> None:
        """Let a worker come back soon from the call that was given up, or be killed."""
        hand.overdue_at = min(hand.overdue_at, monotonic() + _GRACE)

    def watch_memory(self) -> None:
        """Replace workers that use too much after their item, and kill those that use far more."""
        limit = self._memory_limit
        if limit is None:
            return
        for hand in self.hands:
            used = used_memory(hand.pid)
            if used > limit * _FAR_TOO_MUCH:
                hand.kill(
                    f"was killed since it used {used / 2**20:,.0f} MiB, far more than "
                    f"memory_limit={limit / 2**20:,.0f} MiB"
                )
            elif used > limit and not hand.is_worn:
                hand.is_worn = True
                if hand.job is not None:
                    hand.job.cut(hand.job.done() + 1)
        for hand in [hand for hand in self.hands if hand.is_worn and hand.job is None]:
            self.retire(hand)

    def retire(self, hand: Hand) -> None:
        """Part with a worker that has no job. The engine asks for another if there is work."""
        self.forget(hand)
        self.wanted -= 1
        self._staff.release(hand, worn=True)

    def forget(self, hand: Hand) -> None:
        self.hands.remove(hand)
        for handle in (hand.channel.reader, *hand.sentinels()):
            self.watch.remove(handle)

    def bury(self, hand: Hand) -> str:
        """End what is left of a worker, and what it has started; return how it ended."""
        hand.kill()
        if hand.is_alive():
            self._left_behind.append(hand)
        hand.channel.close()
        self._staff.lost()
        return hand.fate()

    def next_overdue(self) -> float:
        """When to call `kill_overdue`."""
        return min((hand.overdue_at for hand in self.hands), default=math.inf)

    def kill_overdue(self) -> None:
        now = monotonic()
        for hand in self.hands:
            if now >= hand.overdue_at:
                hand.kill()

    def stuck(self) -> int:
        """How many could not be killed, and still run."""
        self._left_behind = [hand for hand in self._left_behind if hand.is_alive()]
        return len(self._left_behind)
