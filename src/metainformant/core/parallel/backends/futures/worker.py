"""What runs a chunk in a worker of somebody else's executor, and watches it there."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import platform
import sys
import threading
from time import monotonic
from typing import TYPE_CHECKING, Any

from ...calls import Workers, make_call
from ...engine.loop import Engine
from ...engine.source import Chunk, ListSource
from ...errors import ParallelError, TaskTimeoutError
from ...observe.registry import make_observers
from ...options import decided_elsewhere
from ..threads.backend import ThreadBackend
from ..threads.job import ThreadJob
from ..threads.thread_group import ThreadGroup
from .messages import ChunkRequest, ChunkResult, SealedRequest

if TYPE_CHECKING:
    from ...engine.outcome_batch import OutcomeBatch

# Seconds between two looks at items that are watched.
_POLL_INTERVAL = 0.005


def run_sent(sent: bytes) -> ChunkResult:
    """Run the items of a ChunkRequest that was pickled."""
    return run_request(SealedRequest(*pickle.loads(sent)))


def run_request(sent: ChunkRequest | SealedRequest) -> ChunkResult:
    """Run the items of a request. Never fails: what goes wrong is in the ChunkResult."""
    began = monotonic()
    worker = _worker()
    try:
        request = sent.opened()
    except ParallelError as error:
        return ChunkResult([], {}, [], 0.0, worker, broken=error)
    if request.timeout is None and request.slow_after is None:
        values, failed, times, abandoned = _run_here(request)
    else:
        values, failed, times, abandoned = _run_watched(request, worker)
    times = [time - began for time in times]
    return ChunkResult(values, failed, times, monotonic() - began, worker, abandoned)


_Outcomes = tuple[list[Any], dict[int, BaseException], list[float], int]


def _run_here(request: ChunkRequest) -> _Outcomes:
    """In this thread, which may be the only one that can."""
    first, stop = request.first, request.first + len(request.items)
    chunk = Chunk(request.items, first, first, stop, request.attempt)
    job = ThreadJob(chunk, ThreadGroup(None), keep_times=request.timed, is_fixed=True)
    job.run(request.func, request.fail_fast, keeps_locals=request.fail_fast)
    finished = job.finish()
    return finished.values, finished.failed, finished.times, 0


def _run_watched(request: ChunkRequest, worker: str) -> _Outcomes:
    """Run them in a thread that can be abandoned, while this one watches it."""
    count = len(request.items)
    call = make_call(
        request.caller,
        request.func,
        Workers("thread", 1),
        {"throttled": decided_elsewhere},
        chunk_size=count,
        timeout=request.timeout,
        slow_after=request.slow_after,
        max_abandoned=sys.maxsize,
    )
    engine = Engine(
        call,
        ListSource(request.items, request.first, request.attempt),
        ThreadBackend(call, eager=True, keep_times=request.timed),
        observers=make_observers(call, count),
        poll_interval=_POLL_INTERVAL,
    )
    slots: dict[int, Any] = {}
    failed: dict[int, BaseException] = {}
    spans: dict[int, tuple[float, float]] = {}

    def deliver(batch: OutcomeBatch) -> None:
        start = batch.start - request.first
        slots.update(enumerate(batch.values, start))
        failed.update({index - request.first: error for index, error in batch.failed.items()})
        for at in range(len(batch.values) if batch.times else 0):
            spans[start + at] = (batch.times[at], batch.times[at + 1])
        if failed and request.fail_fast:
            engine.abort()

    error = engine.run(deliver).take_error()
    done = next((at for at in range(count) if at not in slots), count)
    if error is not None:  # a task wants to end the process
        slots[done] = failed[done] = error
        done += 1
    values = [slots[at] for at in range(done)]
    failed = {at: failed[at] for at in sorted(failed) if at < done}
    # Items that were abandoned have times even if nobody asked for any.
    timed = [at for at in range(done) if at in spans] if request.timed else []
    overdue = {at: error for at, error in failed.items() if isinstance(error, TaskTimeoutError)}
    starts = {at: spans[at][0] for at in timed}
    for at in overdue:
        # It may have been seen late. It began when the one before had ended, in the same thread.
        if at in starts and at - 1 in starts and at - 1 not in overdue:
            starts[at] = spans[at - 1][1]
    times = [*starts.values()]
    if timed:
        times.append(spans[timed[-1]][1])
    if worker != threading.current_thread().name:
        for error in overdue.values():
            error.worker = worker  # a thread of another process is nothing that users could find
    return values, failed, times, sum(error.running for error in overdue.values())


def _worker() -> str:
    """Return a name that tells this worker from others, for messages."""
    process, thread = multiprocessing.current_process().name, threading.current_thread()
    if process != "MainProcess":
        return process
    if thread is not threading.main_thread():
        return thread.name
    return f"process {os.getpid()} on {platform.node()}"  # as MPI starts them: all alike
