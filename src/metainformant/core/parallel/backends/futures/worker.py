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
from .messages import Answer, Order

# Seconds between two looks at items that are watched.
_LOOK = 0.005


def run_order(sent: Any) -> Answer:
    """Run the items of an Order. Never fails: what goes wrong is in the Answer."""
    began = monotonic()
    worker = _worker()
    try:
        order: Order = sent.opened()
    except ParallelError as error:
        return Answer([], {}, [], 0.0, worker, broken=error)
    if order.timeout is None and order.slow_after is None:
        values, failed, times, stuck = _run_here(order)
    else:
        values, failed, times, stuck = _run_watched(order)
    times = [time - began for time in times]
    return Answer(values, failed, times, monotonic() - began, worker, stuck)


_Outcomes = tuple[list[Any], dict[int, BaseException], list[float], int]


def _run_here(order: Order) -> _Outcomes:
    """In this thread, which may be the only one that can."""
    job = ThreadJob(list(order.items), order.first, order.attempt, ThreadGroup(None), order.timed)
    job.run(order.func, order.fail_fast)
    values, failed, times = job.finish()
    return values, failed, times, 0


def _run_watched(order: Order) -> _Outcomes:
    """In a thread that can be left behind, while this one watches it."""
    count = len(order.items)
    plan = make_plan(
        order.caller,
        order.func,
        {},
        max_workers=1,
        chunk_size=count,
        timeout=order.timeout,
        slow_after=order.slow_after,
        max_abandoned=sys.maxsize,
    )
    engine = Engine(
        plan,
        ListSource(order.items, order.first, order.attempt),
        ThreadBackend(plan, eager=True, keep_times=order.timed),
        look_every=_LOOK,
    )
    slots: dict[int, Any] = {}
    failed: dict[int, BaseException] = {}
    spans: dict[int, tuple[float, float]] = {}
    pieces = engine.pieces()
    with contextlib.closing(pieces):
        for piece in pieces:
            start = piece.start - order.first
            slots.update(enumerate(piece.values, start))
            for index, error in piece.failed.items():
                _unnote(error, index)
                failed[index - order.first] = error
            for at in range(len(piece.values) if piece.times else 0):
                spans[start + at] = (piece.times[at], piece.times[at + 1])
            if failed and order.fail_fast:
                break
    done = next((at for at in range(count) if at not in slots), count)
    try:
        engine.raise_failure()
    except BaseException as error:  # a task wants to end the process
        _unnote(error, order.first + done)
        slots[done] = failed[done] = error
        done += 1
    values = [slots[at] for at in range(done)]
    failed = {at: failed[at] for at in sorted(failed) if at < done}
    times = [spans[at][0] for at in range(done) if at in spans]
    if times:
        times.append(spans[len(times) - 1][1])
    stuck = [error for error in failed.values() if isinstance(error, TaskTimeoutError)]
    return values, failed, times, sum(error.running for error in stuck)


def _unnote(error: BaseException, index: int) -> None:
    """Remove the note of our engine: that of whoever sent the order says more."""
    notes = getattr(error, "__notes__", None)
    if notes and notes[-1].startswith(f"item {index} ("):
        notes.pop()


def _worker() -> str:
    process = multiprocessing.current_process().name
    return threading.current_thread().name if process == "MainProcess" else process
