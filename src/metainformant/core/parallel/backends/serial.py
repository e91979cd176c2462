"""The kind of worker that is the thread which runs the engine: each wait of it runs a chunk.

Nothing can be seen, ended or taken back while a call runs. So timeouts are noted by the call itself
when it returns.
"""

from __future__ import annotations

import contextlib
import contextvars
import queue
import sys
import threading
from collections import deque
from time import monotonic

from ..describe import describe
from ..engine.event_queue import taken
from ..errors import FATAL, ParallelError, TaskTimeoutError
from ..host.gil import HAS_GIL
from ..worker.frames import own_frame
from .threads.job import ThreadJob
from .threads.thread_group import ThreadGroup

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ..calls import MapCall
    from ..engine.source import Chunk
    from ..worker.setup import PreparedWorker


class SerialJob(ThreadJob):
    """A chunk that also ends when the user leaves the debugger."""

    __slots__ = ()

    @property
    def fatal(self) -> tuple[type[BaseException], ...]:
        bdb = sys.modules.get("bdb")
        return FATAL if bdb is None else (*FATAL, bdb.BdbQuit)


class SerialBackend:
    """The caller's thread as the only worker. Owned by it, except where noted.

    Args:
        call: what to do.
        keep_times: whether all jobs note when each item was started.
    """

    max_chunk: int | None = None
    has_queue = False
    can_watch = False
    share_gil = HAS_GIL
    truncates_late = False
    share_thread = False
    capacity: int | None = None

    def __init__(self, call: MapCall, *, keep_times: bool = False) -> None:
        self._call = call
        self._keep_times = keep_times
        self._context = contextvars.copy_context()  # what tasks set, the caller never sees
        self._group = ThreadGroup(call.options.timeout)
        self._queue: deque[SerialJob] = deque()
        self._has_worker = False
        self._prepared: PreparedWorker | None = None  # once it is, until it has cleaned up
        self._func: Callable[[Any], Any] | None = None  # once the worker is prepared
        # What somebody ends the map by. Raised once the outcomes before it are delivered.
        self._interrupt: BaseException | None = None
        self._wakes: queue.SimpleQueue[None] = queue.SimpleQueue()  # any thread adds to it

    def spawn(self) -> None:
        self._has_worker = True

    def submit(self, chunk: Chunk, *, keep_times: bool = False) -> SerialJob:
        keep_times = keep_times or self._keep_times
        measures = self._call.options.is_reported
        job = SerialJob(
            chunk, self._group, keep_times=keep_times, is_fixed=False, measures=measures
        )
        self._queue.append(job)
        return job

    def queued(self) -> int:
        return len(self._queue)

    def remind(self) -> None:
        pass  # `wait` returns after each job

    def wait(self, timeout: float | None) -> list[SerialJob]:
        if self._interrupt is not None:
            error, self._interrupt = self._interrupt, None
            try:
                raise error
            finally:
                del error  # its traceback leads to this frame: leave no cycle
        cancel = self._call.options.cancel
        if cancel is not None and cancel.is_set():
            return []  # before anything more is started
        if self._queue:
            job = self._queue[0]
            self._context.run(self._run, job)
            self._queue.popleft()
            return [job]
        for _ in taken(self._wakes, timeout):
            pass
        return []

    def wake(self) -> None:
        self._wakes.put(None)

    def workers(self) -> int:
        return int(self._has_worker)

    def abandoned(self) -> int:
        return 0

    def dismiss(self) -> None:
        pass  # it costs nothing

    def close(self, is_over: Callable[[], bool]) -> None:
        self._clean_up()

    def abort(self) -> None:
        with contextlib.suppress(ParallelError):  # something else ends the map, and is told
            self._clean_up()

    def _clean_up(self) -> None:
        self._group.closed = True
        prepared, self._prepared = self._prepared, None
        if prepared is not None:
            self._context.run(prepared.__exit__, None, None, None)

    # The worker

    def _run(self, job: SerialJob) -> None:
        """Run a job, as far as nobody interrupts it."""
        options = self._call.options
        if self._func is None:
            prepared = options.preparation.performed()
            self._func = prepared.__enter__()(self._call.func)
            self._prepared = prepared
        func = self._func
        if options.timeout is not None:
            func = _noting_timeouts(func, job, options.timeout)
        keeps_locals = options.keep_locals or options.on_error == "raise"
        job.run(func, options.fails_fast, keeps_locals)
        error = job.failed.get(len(job.out) - 1)
        if isinstance(error, job.fatal) and _is_from_outside(error):
            self._interrupt = job.failed.pop(len(job.out) - 1)
            job.out.pop()  # the item has no outcome


def _noting_timeouts(
    func: Callable[[Any], Any], job: ThreadJob, timeout: float
) -> Callable[[Any], Any]:
    """Return a function that fails if a call took too long, whatever came of it."""

    @own_frame
    def call_and_look_at_the_clock(item: Any) -> Any:
        began = monotonic()
        try:
            value = func(item)
        except FATAL:
            raise
        except BaseException as error:
            if monotonic() - began <= timeout:
                raise
            raise _overdue(job, item, timeout, monotonic() - began) from error
        if monotonic() - began <= timeout:
            return value
        raise _overdue(job, item, timeout, monotonic() - began)

    return call_and_look_at_the_clock


def _overdue(job: ThreadJob, item: Any, timeout: float, seconds: float) -> TaskTimeoutError:
    worker = threading.current_thread().name
    error = TaskTimeoutError(job.first + len(job.out), describe(item), timeout, worker)
    error.returned_after = seconds
    return error


def _is_from_outside(error: BaseException) -> bool:
    """Return whether Ctrl-C or leaving the debugger raised it, and not the task."""
    return not (isinstance(error, FATAL) and error.args) and not isinstance(error, SystemExit)
