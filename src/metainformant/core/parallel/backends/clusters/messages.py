"""What is sent between a map and the workers of a cluster.

Both sides have the same version of this package, which the handshake has made sure of. What the
user has made is pickled on its own, so that it can fail on its own.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any, NamedTuple

from ...calls import MapCall
from ...describe import error_in_words
from ...errors import ParallelError
from ...options import says_slow_down
from ...worker.setup import Preparation
from ..futures.messages import ChunkResult
from ..ipc.exceptions import unpicklable
from ..ipc.items import PLAIN_TYPES, Sealed, SealedItem, seal_for_cluster
from ..ipc.pickling import dumps

# Plain types whose size is known before they are pickled, at least roughly.
_SIZED = frozenset({bytes, str})


class Setup(NamedTuple):
    """All that an agent needs to know of its map."""

    caller: str
    func: bytes
    preparation: tuple[bytes, ...]  # the fields of a Preparation
    timeout: float | None
    slow_after: float | None
    max_abandoned: int
    keep_times: bool
    keep_locals: bool
    fails_fast: bool
    how_to_send: str  # what gets a module to the workers
    interval: float = 0.0  # seconds between two reports; set by the agent


# Commands: from the map to an agent. Positions count from the first item of the chunk.


class RunChunk(NamedTuple):
    """Items that a seat is going to be permitted to run."""

    seat: int
    number: int  # of the chunk
    first: int  # index of the first item in the input
    attempt: int
    items: bytes | list[Sealed]


class Permit(NamedTuple):
    """Items before the position `stop` may be started."""

    seat: int
    number: int
    stop: int


class Recall(NamedTuple):
    """Nothing that has not been started may be started, until it is permitted again."""

    seat: int


class Forget(NamedTuple):
    """The news that what is not permitted of a chunk is no longer the seat's."""

    seat: int
    number: int


class EndSeat(NamedTuple):
    """The seat is not needed: its thread is for others."""

    seat: int


class Finish(NamedTuple):
    """Nothing more will come: seats clean up and end."""


class Stop(NamedTuple):
    """The map is over: nothing is started any more, and running calls are given up."""


class EndProcess(NamedTuple):
    """The process has a call that can't be ended: it ends itself."""


Command = RunChunk | Permit | Recall | Forget | EndSeat | Finish | Stop | EndProcess


# Reports: from an agent to the map. Times are those of the worker's monotonic clock.


class SeatOpened(NamedTuple):
    """A thread of the cluster's worker is the seat's, and is prepared."""

    seat: int


class Began(NamedTuple):
    """The first item of a chunk is about to be started."""

    number: int
    at: float


class Finished(NamedTuple):
    """Items of a chunk have their outcomes, in order."""

    seat: int
    number: int
    at: float  # when the last of them was seen to be finished
    seconds: float  # since the outcomes before these, or since these items were taken
    result: ChunkResult


class Kept(NamedTuple):
    """The answer to a Recall: how far each chunk of a seat may be run without a new Permit."""

    seat: int
    stops: dict[int, int]


class SeatEnded(NamedTuple):
    """A seat runs nothing more."""

    seat: int
    broken: ChunkResult | None = None  # which has an error that stops the map
    is_stuck: bool = False  # whether a call can't be ended, so that the process should
    is_settled: bool = False  # whether nothing was started that has not been reported


Report = SeatOpened | Began | Finished | Kept | SeatEnded


class Hello(NamedTuple):
    """The answer of an agent to its Setup."""

    token: str  # of this agent, in this process
    worker: str  # its name for messages
    pid: int
    problem: str  # why it can run nothing; or nothing


def read_hello(pickled: bytes) -> Hello:
    """Read what an agent has answered; ParallelError if it can run nothing."""
    hello: Hello = pickle.loads(pickled)
    if hello.problem:
        raise ParallelError(f"{hello.problem} (worker {hello.worker})")
    return hello


def make_setup(call: MapCall, how_to_send: str, *, keep_times: bool) -> Setup:
    """Pickle what is the same for the whole map; ParallelError if that fails."""
    options = call.options
    preparation = options.preparation
    fields = {name: getattr(preparation, name) for name in Preparation.FIELDS}
    return Setup(
        call.caller,
        _pickled(f"{call.caller}: func={call.func!r}", call.func),
        tuple(
            _pickled(f"{call.caller}: {name}={value!r}", value) for name, value in fields.items()
        ),
        options.timeout,
        options.slow_after,
        options.max_abandoned,
        keep_times,
        options.keep_locals or options.on_error == "raise",
        options.fails_fast and options.throttled in (None, says_slow_down),
        how_to_send,
    )


def _pickled(what: str, value: Any) -> bytes:
    try:
        return dumps(value, main_by_value=True)
    except Exception as error:
        raise unpicklable(what, error) from error


def opened(setup: Setup) -> tuple[Callable[..., Any], Preparation]:
    """Read the function and the preparation in a worker; ParallelError if that fails."""
    names = ("func", *Preparation.FIELDS)
    values = []
    for name, pickled in zip(names, (setup.func, *setup.preparation), strict=True):
        try:
            values.append(pickle.loads(pickled))
        except Exception as error:
            raise ParallelError(
                f"{setup.caller}: {name} can't be read in a worker: {error_in_words(error)}. "
                "Workers import modules from their own disks: install the module there, or send "
                f"it: {setup.how_to_send}"
            ) from error
    return values[0], Preparation(*values[1:])


def pack_items(items: list[Any], enough: int) -> tuple[bytes | list[Sealed], int]:
    """Pickle items, together if that surely works; never fails.

    Return how many they are too: from `enough` bytes on no further ones, but at least one.
    """
    types = set(map(type, items))
    if types <= PLAIN_TYPES:
        if not types.isdisjoint(_SIZED):
            items = items[: _count_within(enough, items)]
        packed = pickle.dumps(items, 5)
        if len(packed) < enough or len(items) == 1:
            return packed, len(items)
        return pack_items(items[: len(items) // 2], enough)
    sealed: list[Sealed] = []
    size = 0
    for item in items:
        sealed.append(seal_for_cluster(item))
        size += len(sealed[-1])
        if size >= enough:
            break
    return sealed, len(sealed)


def _count_within(size: int, items: list[Any]) -> int:
    """Return how many items surely are not larger than that; at least one."""
    for at, item in enumerate(items):
        size -= len(item) if type(item) in _SIZED else 0
        if size < 0:
            return max(1, at)
    return len(items)


def unpack_items(packed: bytes | list[Sealed]) -> list[Any]:
    """Return the items, or SealedItems that are read when their tasks begin."""
    return pickle.loads(packed) if isinstance(packed, bytes) else list(map(SealedItem, packed))
