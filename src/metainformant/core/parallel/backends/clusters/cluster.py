"""The port to a kind of cluster: which workers there are, and how to talk to them.

Everything that is called here returns at once. What happens is put into the map's queue of events
by whatever thread the cluster's library uses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...errors import ParallelError
    from ..ipc.out_of_band import BufferedPickle
    from .messages import Command


class Link(Protocol):
    """The connection of a map with its agent in one worker process.

    Attributes:
        worker: which of the `Workers` it is.
        name: of the worker for messages: its address, once that is known.
        pid: of its process; 0 before it has answered.
    """

    worker: str
    name: str
    pid: int

    @property
    def is_direct(self) -> bool:
        """Whether it ends when the process does, and not when the cluster lets go of the worker."""
        ...

    def open_seat(self, number: int) -> None:
        """Let a thread of the worker call `agent.run_seat` with this number, once it has one."""
        ...

    def post(self, commands: list[Command]) -> None:
        """Send commands, after those that were sent before."""
        ...


class Workers(NamedTuple):
    """The workers that there are now, and that can run the map: how many threads each has."""

    threads: dict[str, int]


class Received(NamedTuple):
    """A worker has sent reports."""

    link: Link
    reports: list[BufferedPickle]


class Lost(NamedTuple):
    """A worker can't be reached any more. Nothing further comes from it."""

    link: Link
    why: str


class Broken(NamedTuple):
    """The map can't go on."""

    error: ParallelError


Event = Workers | Received | Lost | Broken


class Cluster(Protocol):
    """Workers that somebody else has started, for one map.

    Attributes:
        how_to_send: what users do to get a module to the workers, for messages.
        thread_seconds: how long to wait for a thread of a worker before one of another is asked for
            too, if that has any.
        message_bytes: of items, from which on a message gets no more of them: so the next can be on
            its way meanwhile.
    """

    how_to_send: str
    thread_seconds: float
    message_bytes: int

    def start(self, tell: Callable[[Event], object], limit: int) -> None:
        """Look for workers, now and from time to time, and check those that the map may use.

        Args:
            tell: takes what happens: `Workers` when these change, and what links receive.
            limit: how many threads of workers the map can use at most.
        """
        ...

    def connect(self, worker: str, setup: bytes, interval: float) -> Link:
        """Make an agent in a worker. A `Received` or `Lost` tells of everything further.

        Args:
            worker: one of the `Workers`.
            setup: the pickled Setup of the map, the same for all its workers.
            interval: seconds between two reports.
        """
        ...

    def check(self) -> None:
        """Tell that the map is `Broken` if otherwise nothing would ever be told any more."""
        ...

    def close(self) -> None:
        """Let go of everything that the map has in the cluster, once all commands are sent."""
        ...
