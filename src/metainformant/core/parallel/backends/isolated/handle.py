"""The engine's handle of one worker in another process or interpreter."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any

from ...errors import Frame
from ..ipc.channel import Channel
from ..ipc.payload import Payload
from ..ipc.poller import Poller
from .result_buffer import ResultBuffer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .job import IsolatedJob


class WorkerHandle(ABC):
    """A worker, of whatever kind. Owned by the engine's thread.

    Attributes:
        is_ready: whether it is prepared.
        job: what it was sent and has not come back from. If it can't be killed, that may be for
            ever.
        func: the payload of the function that it was sent last.
        tasks: how many items it has run.
        must_be_replaced: whether to end it once it has no job.
        overdue_at: when to kill it, if it does not come back from a call that was abandoned.
        remark: what to know of such a call while it runs; empty if it is as in any thread.
    """

    remark = ""

    def __init__(self, name: str, channel: Channel, buffer: ResultBuffer) -> None:
        self.name = name
        self.channel = channel
        self.buffer = buffer
        self.is_ready = False
        self.job: IsolatedJob | None = None
        self.func: Payload | None = None
        self.tasks = 0
        self.must_be_replaced = False
        self.overdue_at: float = math.inf
        self._sentinel_poller: Any = None  # made when it is needed

    @property
    @abstractmethod
    def pid(self) -> int:
        """Id of its process."""

    @abstractmethod
    def sentinels(self) -> list[Any]:
        """Return what becomes readable when it has ended or was killed; see `ipc/poller.py`."""

    @abstractmethod
    def is_alive(self) -> bool:
        """Return whether it runs: if it can't be killed, perhaps as long as its call does."""

    def has_ended(self) -> bool:
        """Return whether one of its sentinels is readable, as far as can be seen at once."""
        if self._sentinel_poller is None:
            self._sentinel_poller = Poller()
            for sentinel in self.sentinels():
                self._sentinel_poller.add(sentinel, None)
        return bool(self._sentinel_poller.wait(0))

    @abstractmethod
    def end_call(self, number: int, position: int) -> None:
        """End the call in flight, which was abandoned: of that job, with the item there."""

    @abstractmethod
    def runs(self, number: int) -> bool:
        """Return whether it still has the job of that number."""

    @abstractmethod
    def stack(self, timeout: float) -> tuple[Frame, ...]:
        """Return where it is, outermost call first; empty if it does not tell in time."""

    @abstractmethod
    def kill(self, why: str = "") -> None:
        """End it at once, if that is possible, and whatever it has started.

        If it was alive, `exit_reason` will return `why`.
        """

    def close(self) -> None:
        """Close the channel to it, once it was killed."""
        self.channel.close()

    def is_unguarded(self) -> bool:
        """Return whether it ended because its script, which it imports, starts the map again."""
        return False

    @abstractmethod
    def exit_reason(self) -> str:
        """Describe how it ended."""
