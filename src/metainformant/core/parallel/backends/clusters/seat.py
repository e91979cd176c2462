"""One thread of a cluster's worker, which runs what its agent permits.

It is the engine again, with one thread to run items in. So timeouts, slow items, interrupts, the
preparation of workers and what counts as stuck mean here what they mean everywhere.
"""

from __future__ import annotations

import sys
import threading
from time import monotonic
from typing import TYPE_CHECKING, Any

from ...calls import Workers, make_call
from ...engine.loop import Engine
from ...errors import TaskCancelledError, TaskTimeoutError
from ...observe.registry import make_observers
from ...options import decided_elsewhere, says_slow_down
from ..futures.messages import ChunkResult
from ..threads.backend import ThreadBackend
from .messages import Finished, SeatEnded, SeatOpened, Setup
from .seat_source import SeatSource

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...engine.ending import Ending
    from ...engine.outcome_batch import OutcomeBatch
    from ...worker.setup import Preparation
    from .seat_source import Send, SentChunk


class Seat:
    """A thread that runs chunks for an agent: the one that calls `run`.

    Args:
        number: of this seat.
        setup: what there is to do.
        func: takes what `unpack_items` returns.
        preparation: what comes before the first item.
        worker: the name of the worker for messages: its address.
        max_abandoned: how many calls that can't be ended may be left behind.
        send: takes reports.
        flush: lets all reports be sent at once.
    """

    def __init__(
        self,
        number: int,
        setup: Setup,
        func: Callable[..., Any],
        preparation: Preparation,
        worker: str,
        max_abandoned: int,
        send: Send,
        flush: Callable[[], object],
    ) -> None:
        self._number = number
        self._worker = worker
        self._send = send
        self._cancel = threading.Event()
        # Whether a call was begun and given up without an outcome; owned by the engine's thread.
        self._is_cut_short = False
        self._fails_fast = setup.fails_fast  # whether a failure ends the map
        self._ends_process = max_abandoned < setup.max_abandoned
        self._last = 0.0  # when the last outcomes came; owned by the engine's thread
        self.source: SeatSource = SeatSource(number, send, flush)
        call = make_call(
            setup.caller,
            func,
            Workers("thread", 1),
            {"throttled": decided_elsewhere},
            chunk_size=sys.maxsize,
            timeout=setup.timeout,
            slow_after=setup.slow_after,
            keep_locals=setup.keep_locals,
            cancel=self._cancel,
            **_telling(preparation, self._tell_opened),
        )
        call = call.replace(options=call.options.replace(max_abandoned=max_abandoned))
        backend = ThreadBackend(
            call, eager=True, keep_times=setup.keep_times, fails_fast=setup.fails_fast
        )
        backend.has_queue = False  # so that outcomes come in order
        self._backend = backend
        self._engine = Engine(
            call,
            self.source,
            backend,
            observers=make_observers(call, None),
            poll_interval=setup.interval,
        )

    def run(self) -> None:
        """Run what comes, until the agent ends it."""
        try:
            self._backend.spawn()  # which prepares itself before anything is sent
            self._tell_end(self._engine.run(self._deliver))
        except BaseException as error:  # ours, or a worker's that broke
            self._send(SeatEnded(self._number, broken_by(error, self._worker)), True)

    # The agent's thread

    def wake(self) -> None:
        self._engine.wake()

    def abandoned(self) -> int:
        """Return how many calls still run that were left behind."""
        return self._backend.abandoned()

    def recall(self) -> None:
        self.source.withdraw()
        self._engine.recall(self.source.give_back)

    def finish(self) -> None:
        """End when all that was permitted has been run."""
        self.source.finish()
        self._engine.wake()

    def leave(self) -> None:
        """End as soon as what is running has ended."""
        self.source.finish()
        self.recall()

    def stop(self) -> None:
        self._cancel.set()
        self.source.withdraw()
        self._engine.wake()

    # The engine's thread

    def _tell_opened(self) -> None:
        self._send(SeatOpened(self._number), True)

    def _deliver(self, batch: OutcomeBatch) -> None:
        if batch.names_items and type(batch.values[0]) is TaskCancelledError:
            self._is_cut_short |= any(error.started for error in batch.failed.values())  # type: ignore[attr-defined]
            return  # what was not run is the map's
        sent: Any = batch.chunk.base
        start = batch.start
        failed = {index - start: error for index, error in batch.failed.items()}
        for error in failed.values():
            if isinstance(error, TaskTimeoutError):
                error.worker = self._worker  # its thread is nothing that users could find
        self._report(sent, batch.values, failed, batch.times)
        if self._fails_fast and not all(map(says_slow_down, failed.values())):
            self._engine.abort()  # at once, before it hands out anything more

    def _report(
        self,
        chunk: SentChunk,
        values: list[Any],
        failed: dict[int, BaseException],
        times: list[float],
    ) -> None:
        now = monotonic()
        result = ChunkResult(values, failed, times, 0.0, self._worker)
        seconds, self._last = now - max(self._last, self.source.last_take), now
        self._send(Finished(self._number, chunk.number, now, seconds, result), False)
        self.source.finished(chunk, len(values))

    def _tell_end(self, ending: Ending) -> None:
        broken = None
        is_stuck = False
        chunk = ending.chunk
        error = ending.take_error()
        if error is not None and chunk is not None:  # a task's, which ends the map
            sent: Any = chunk.base
            if isinstance(error, TaskTimeoutError):
                error.worker = self._worker
            now = monotonic()
            self._report(sent, [error], {0: error}, [self._last, now])
        elif error is not None:
            broken = broken_by(error, self._worker)
        elif ending.stop is not None and not self._cancel.is_set():
            is_stuck = self._ends_process and self._backend.abandoned() > 0
            if not is_stuck:
                broken = broken_by(ending.stop.error(None), self._worker)
        self._send(SeatEnded(self._number, broken, is_stuck, not self._is_cut_short), True)


def _telling(preparation: Preparation, tell: Callable[[], object]) -> dict[str, Any]:
    """Return the options of a preparation, and call `tell` when that is done."""
    initializer, make_state = preparation.initializer, preparation.worker_state

    def initialize(*arguments: Any) -> None:
        if initializer is not None:
            initializer(*arguments)
        if make_state is None:
            tell()

    def make_state_and_tell() -> Any:
        assert make_state is not None  # noqa: S101  # else nobody calls this
        state = make_state()
        tell()
        return state

    return {
        "initializer": initialize,
        "initargs": preparation.initargs,
        "worker_state": None if make_state is None else make_state_and_tell,
    }


def broken_by(error: Any, worker: str) -> ChunkResult:
    """Return an error in the form in which it survives the journey."""
    return ChunkResult([], {}, [], 0.0, worker, broken=error)
