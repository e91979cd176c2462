"""The engine's handle of one worker in another process or interpreter."""

from __future__ import annotations

from typing import Any, Protocol

from ...errors import Frame
from ..ipc.channel import Channel
from .result_buffer import ResultBuffer


class WorkerHandle(Protocol):
    """A worker, of whatever kind. Owned by the engine's thread."""

    name: str
    channel: Channel
    buffer: ResultBuffer
    is_ready: bool  # whether it is prepared
    job: Any  # the RemoteJob that it has in handle; None if it has none
    function: Any  # the payload of the function that it was sent last
    must_be_replaced: bool  # whether it is to be replaced once it has no job
    tasks: int  # how many items it has run
    overdue_at: float  # when to kill it, if it does not end the call that was given up

    @property
    def pid(self) -> int:
        """Of its process."""
        ...

    def sentinels(self) -> list[Any]:
        """What becomes readable when it has ended or was killed; see `poller.py`."""
        ...

    def is_alive(self) -> bool:
        """Whether it runs. One that can't be killed may do so for as long as its call does."""
        ...

    def end_call(self, number: int, position: int) -> None:
        """End the call in flight, which was given up."""
        ...

    def runs(self, number: int) -> bool:
        """Whether it still has that job in handle."""
        ...

    def stack(self) -> tuple[Frame, ...]:
        """Where it is, outermost call first; empty if that can't be seen."""
        ...

    def kill(self, why: str = "") -> None:
        """End it at once, if that is possible, and whatever it has started.

        `why` is what `exit_reason` then says, if it lived till now.
        """
        ...

    def exit_reason(self) -> str:
        """How it ended, in words."""
        ...
