"""What runs a chunk in a worker of somebody else's executor, and watches it there."""

from __future__ import annotations

import contextlib
import multiprocessing
import sys
import threading
from time import monotonic
from typing import Any

from ...engine.loop import Engine
from ...engine.source import ListSource
from ...errors import ParallelError, TaskTimeoutError
from ...options import make_plan
from ..threads.backend import ThreadBackend
from ..threads.job import ThreadJob
from ..threads.thread_group import ThreadGroup
from .messages import ChunkRequest, ChunkResult

# Seconds between two looks at items that are watched.
_POLL_INTERVAL = 0.005


def run_request(sent: Any) -> ChunkResult:
    """Run the items of a ChunkRequest. Never fails: what goes wrong is in the ChunkResult."""
    began = monotonic()
    worker = _worker()
    try:
        request: ChunkRequest = sent.opened()
    except ParallelError as error:
        return ChunkResult([], {}, [], 0.0, worker, broken=error)
    if request.timeout is None and request.slow_after is None:
        values, failed, times, abandoned = _run_here(request)
    else:
        values, failed, times, abandoned = _run_watched(request)
    times = [time - began for time in times]
    return ChunkResult(values, failed, times, monotonic() - began, worker, abandoned)


_Outcomes = tuple[list[Any], dict[int, BaseException], list[float], int]


def _run_here(request: ChunkRequest) -> _Outcomes:
    """In this thread, which may be the only one that can."""
    job = ThreadJob(
        list(request.items), request.first, request.attempt, ThreadGroup(None), request.timed
    )
    job.run(request.func, request.fail_fast)
    values, failed, times = job.finish()
    return values, failed, times, 0


def _run_watched(request: ChunkRequest) -> _Outcomes:
    """In a thread that can be left behind, while this one watches it."""
    count = len(request.items)
    plan = make_plan(
        request.caller,
        request.func,
        {},
        max_workers=1,
        chunk_size=count,
        timeout=request.timeout,
        slow_after=request.slow_after,
        max_abandoned=sys.maxsize,
    )
    engine = Engine(
        plan,
        ListSource(request.items, request.first, request.attempt),
        ThreadBackend(plan, eager=True, keep_times=request.timed),
        poll_interval=_POLL_INTERVAL,
    )
    slots: dict[int, Any] = {}
    failed: dict[int, BaseException] = {}
    spans: dict[int, tuple[float, float]] = {}
    batches = engine.batches()
    with contextlib.closing(batches):
        for batch in batches:
            start = batch.start - request.first
            slots.update(enumerate(batch.values, start))
            for index, error in batch.failed.items():
                _unnote(error, index)
                failed[index - request.first] = error
            for at in range(len(batch.values) if batch.times else 0):
                spans[start + at] = (batch.times[at], batch.times[at + 1])
            if failed and request.fail_fast:
                break
    done = next((at for at in range(count) if at not in slots), count)
    try:
        engine.raise_failure()
    except BaseException as error:  # a task wants to end the process
        _unnote(error, request.first + done)
        slots[done] = failed[done] = error
        done += 1
    values = [slots[at] for at in range(done)]
    failed = {at: failed[at] for at in sorted(failed) if at < done}
    times = [spans[at][0] for at in range(done) if at in spans]
    if times:
        times.append(spans[len(times) - 1][1])
    abandoned = [error for error in failed.values() if isinstance(error, TaskTimeoutError)]
    return values, failed, times, sum(error.running for error in abandoned)


def _unnote(error: BaseException, index: int) -> None:
    """Remove the note of our engine: that of whoever sent the request says more."""
    notes = getattr(error, "__notes__", None)
    if notes and notes[-1].startswith(f"item {index} ("):
        notes.pop()


def _worker() -> str:
    process = multiprocessing.current_process().name
    return threading.current_thread().name if process == "MainProcess" else process
