"""The messages between the engine's side and a worker, and how they are written to a channel.

A message travels as a plain tuple, its place in `_TYPES` first: that is faster to pickle than an
object, whose class would be looked up by its name each time.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ..ipc.channel import Attachment, Channel

# From the engine's side


class Prepare(NamedTuple):
    """The first message to a worker that inherited nothing."""

    caller: str
    preparation: Attachment


class SetFunction(NamedTuple):
    """The function to be called with the items of all chunks that follow."""

    caller: str
    func: Attachment


class RunChunk(NamedTuple):
    """Items to be run."""

    number: int  # of the job, unique in the process of the caller
    first: int  # index of the first item in the input
    size: int  # how many items there are
    attempt: int
    timeout: float | None
    timed: bool  # whether the worker notes when each item is started
    measured: bool  # whether it measures what the job uses of the machine
    fail_fast: bool  # whether the first failure ends the job
    one_by_one: bool  # whether each item is sealed, see `ipc/items.py`
    items: Attachment  # lists of items


class End(NamedTuple):
    """The last message to a worker."""


# From a worker


class Ready(NamedTuple):
    """The worker is prepared."""


class Broken(NamedTuple):
    """The last message of a worker that could not prepare itself, or not close its state."""

    error: bytes


class Closed(NamedTuple):
    """The last message of a worker that has closed its state."""


class OutOfBand(NamedTuple):
    """A result or a failure that does not fit into the buffer. It is sent before it is noted."""

    position: int
    result: Attachment


class Unread(NamedTuple):
    """The items can't be read together, and none was run."""

    number: int


class NoFunction(NamedTuple):
    """The function can't be read, so no item was run."""

    number: int
    error: bytes


class Done(NamedTuple):
    """The job has ended: all of it, or as far as the buffer says."""

    number: int


ToWorker = Prepare | SetFunction | RunChunk | End
FromWorker = Ready | Broken | Closed | OutOfBand | Unread | NoFunction | Done

_TYPES: tuple[type[Any], ...] = (
    *(Prepare, SetFunction, RunChunk, End),
    *(Ready, Broken, Closed, OutOfBand, Unread, NoFunction, Done),
)
_TAGS = {kind: tag for tag, kind in enumerate(_TYPES)}


def send(channel: Channel, message: ToWorker | FromWorker) -> None:
    channel.send((_TAGS[type(message)], *message))


def receive(channel: Channel) -> Any:
    """Receive the next message; EOFError or OSError if the other side is gone.

    A worker waits for it: it is a `ToWorker`. The engine's side does not: it is a `FromWorker`, or
    None if there is none that has come whole.
    """
    message = channel.receive()
    if message is None:
        return None
    tag, *fields = message
    return _TYPES[tag](*fields)
