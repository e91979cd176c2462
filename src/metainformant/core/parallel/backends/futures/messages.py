"""Chunks on their way to an executor, and their outcomes on the way back.

Each executor decides whether to pickle what it is given. A ChunkRequest or a ChunkResult that is
pickled becomes a record of what can be pickled, so that what can't costs only its own slot; and
nothing in it is read before somebody asks for it, so that reading it never breaks a worker of the
executor. A worker that lacks this package can read it too, and then fails as for any wrong call.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from ...describe import error_in_words
from ...errors import ParallelError
from ..ipc.exceptions import pack, refused_module, unpack, unpicklable, unreadable_result
from ..ipc.items import PLAIN_TYPES, Sealed, SealedItem, pickled_result, seal, with_sealed
from ..ipc.out_of_band import BufferedPickle, load
from ..ipc.pickling import dumps


class ChunkRequest(NamedTuple):
    """A chunk to be run, and how."""

    caller: str
    func: Callable[[Any], Any]
    items: list[Any]
    first: int  # index of the first item in the input
    attempt: int
    timeout: float | None
    slow_after: float | None
    timed: bool
    fail_fast: bool
    # Unlike that of any other request: some executors take equal calls for one.
    token: str = ""

    def opened(self) -> ChunkRequest:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        func = packed_func(self.caller, self.func)
        items = dumps(self.items) if _is_plain(self.items) else list(map(seal, self.items))
        sealed = pickle.dumps((self.caller, func, items, *self[3:]))
        return dict, ([("sent", sealed), ("token", self.token)],)


class RequestRunner:
    """The function that an executor calls with a ChunkRequest.

    Pickled, it is a call of `eval` with the dict that a pickled request is, and so needs nothing
    but the standard library to be read.

    Args:
        run: what runs a request, where nothing is pickled.
    """

    def __init__(self, run: Callable[[ChunkRequest], ChunkResult]) -> None:
        self._run = run

    def __call__(self, request: ChunkRequest) -> ChunkResult:
        return self._run(request)

    def __reduce__(self) -> tuple[Any, ...]:
        return partial, (eval, _RUN_SENT)


_RUN_SENT = (
    "__import__('metainformant.core.parallel.backends.futures.worker', fromlist=['run_sent'])"
    ".run_sent(sent)"
)


class SealedRequest(NamedTuple):
    """A ChunkRequest that was pickled. Nothing in it is read yet."""

    caller: str
    func: bytes
    items: bytes | list[Sealed]
    first: int
    attempt: int
    timeout: float | None
    slow_after: float | None
    timed: bool
    fail_fast: bool
    token: str

    def opened(self) -> ChunkRequest:
        """Raises ParallelError if the function can't be read."""
        try:
            func = pickle.loads(self.func)
        except Exception as error:
            fix = refused_module(error) or (
                ". Define it at the top level of a module that the workers of the executor can "
                "import."
            )
            raise ParallelError(
                f"{self.caller}: func can't be read in a worker of the executor: "
                f"{error_in_words(error)}{fix}"
            ) from error
        if isinstance(self.items, bytes):
            items = pickle.loads(self.items)
        else:
            items = list(map(SealedItem, self.items))
        # Where requests are pickled, so are results, and only when the whole chunk is done.
        return ChunkRequest(self.caller, with_sealed(func), items, *self[3:])


class ChunkResult(NamedTuple):
    """The outcomes of a ChunkRequest."""

    values: list[Any]
    failed: dict[int, BaseException]
    times: list[float]  # since it was begun; empty if nobody wants to know
    seconds: float  # that it took
    worker: str
    abandoned: int = 0  # how many calls were left behind
    broken: ParallelError | None = None  # why nothing could be run

    def opened(self) -> ChunkResult:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        failed = {at: pack(error) for at, error in self.failed.items()}
        values: Any = [None if at in failed else value for at, value in enumerate(self.values)]
        if _is_plain(values):
            values = dumps(values)
        else:
            for at, value in enumerate(values):
                try:
                    values[at] = pickled_result(value)
                except ParallelError as failure:
                    values[at], failed[at] = b"", pack(failure)
        broken = None if self.broken is None else pack(self.broken)
        return _SealedResult, (values, failed, *self[2:6], broken)


class _SealedResult(NamedTuple):
    values: bytes | list[bytes | BufferedPickle]
    failed: dict[int, bytes]
    times: list[float]
    seconds: float
    worker: str
    abandoned: int
    broken: bytes | None

    def opened(self) -> ChunkResult:
        failed = {at: unpack(record, self.worker) for at, record in self.failed.items()}
        if isinstance(self.values, bytes):
            values = pickle.loads(self.values)
        else:
            values = list[Any]([None]) * len(self.values)
            for at, record in enumerate(self.values):
                try:
                    values[at] = None if at in failed else load(record)
                except Exception as error:
                    failed[at] = unreadable_result(error)
        for at, failure in failed.items():
            values[at] = failure
        broken: Any = None if self.broken is None else unpack(self.broken, self.worker)
        return ChunkResult(values, dict(sorted(failed.items())), *self[2:6], broken)


def packed_func(caller: str, func: Callable[..., Any]) -> bytes:
    """Raises ParallelError if it can't be pickled."""
    try:
        return dumps(func)
    except Exception as error:
        raise unpicklable(f"{caller}: func={func!r}", error) from error


def _is_plain(values: Sequence[Any]) -> bool:
    return PLAIN_TYPES.issuperset(map(type, values))
