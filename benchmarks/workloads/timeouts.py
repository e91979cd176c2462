"""Timeouts: what they cost while nothing is late, and what they do when something is."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

from metainformant.core import parallel

from ..harness.workload import Contender, Facts, Group, Workload
from ..peers import ours, processes
from ..peers.scripts import whole_process
from ..peers.table import peers
from ..peers.threads import TIMEOUTS
from ..tasks import hang, same, spin


def _cost(microseconds: int, _: ExitStack) -> list[Contender]:
    tasks = [microseconds / 1e6] * (10_000 if microseconds else 200_000)
    func: Callable[[float], object] = spin if microseconds else same
    run = partial(parallel.thread_map, func, tasks)
    return [
        ours.plain_loop(func, tasks),
        ours.ours(run),
        ours.ours(partial(run, timeout=1), "timeout=1"),
        *peers(TIMEOUTS, func, tasks, 8),
    ]


def _cost_of(microseconds: int) -> Workload:
    return Workload(
        f"timeout-{microseconds}us",
        f"Timeout on and off, tasks of {microseconds} us, 8 threads",
        partial(_cost, microseconds),
        limit="the plain loop `list(map(f, items))`",
        note="" if microseconds else "A task of 0 us is a no-op; there are 200,000 of them.",
    )


_HANGING, _THREADS, _PATIENCE = 900, 100, 0.2


def _hang_here() -> list[object]:
    stuck = threading.Event()
    results = parallel.thread_map(
        lambda _: stuck.wait(), range(_HANGING), _THREADS, timeout=_PATIENCE
    )
    stuck.set()  # or the threads of one round would be in the way of the next
    return list(results)


def _hanging(_: ExitStack) -> list[Contender]:
    whole = whole_process(f"""
        import threading
        from metainformant.core import parallel
        stuck = threading.Event()
        items = range({_HANGING})
        results = parallel.thread_map(
            lambda _: stuck.wait(), items, {_THREADS}, timeout={_PATIENCE})
        assert sum(isinstance(result, TimeoutError) for result in results) == {_HANGING}
    """)
    return [
        ours.ours(_hang_here),
        ours.ours(whole, "whole process with exit"),
        *peers(TIMEOUTS),
    ]


def _hanging_processes(_: ExitStack) -> list[Contender]:
    tasks = [60.0] * 20
    return [
        *ours.processes(hang, tasks, 2, timeout=_PATIENCE),
        *peers(processes.TIMEOUTS, hang, tasks, 2, _PATIENCE),
    ]


def _lateness() -> dict[str, str]:
    """How late timeouts fire, and when the places of stuck tasks are used again."""
    stuck, started, timeout = threading.Event(), dict[int, float](), 0.5

    def task(number: int) -> None:
        started[number] = time.monotonic()
        stuck.wait()

    late = []
    for outcome in parallel.outcomes(task, range(100), timeout=timeout, ordered=False):
        assert isinstance(outcome.error, parallel.TaskTimeoutError)
        late.append(time.monotonic() - started[outcome.index] - timeout)
    stuck.set()
    starts = sorted(started.values())
    reused = [after - before - timeout for before, after in zip(starts, starts[8:], strict=False)]
    return _quantiles("lateness", late) | _quantiles("until the place is used again", reused)


def _quantiles(name: str, seconds: list[float]) -> dict[str, str]:
    percentiles = statistics.quantiles(seconds, n=100, method="inclusive")
    values = {"median": percentiles[49], "99th percentile": percentiles[98], "latest": max(seconds)}
    return {f"{name}, {what}": f"{1000 * value:.1f} ms" for what, value in values.items()}


GROUP = Group(
    "timeouts",
    "Timeouts",
    [
        *(_cost_of(microseconds) for microseconds in (0, 10, 100)),
        Workload(
            "timeout-hang",
            f"{_HANGING} tasks that hang, {_THREADS} threads, timeout {_PATIENCE} s",
            _hanging,
            rounds=3,
            limit="nine timeouts in turn",
            ideal=_HANGING / _THREADS * _PATIENCE,
            expected=(_HANGING, _HANGING),
        ),
        Workload(
            "timeout-hang-process",
            f"20 tasks that hang, 2 processes, timeout {_PATIENCE} s",
            _hanging_processes,
            rounds=3,
            limit="ten timeouts in turn",
            ideal=10 * _PATIENCE,
            expected=(20, 20),
            needs="process_map",
        ),
        Facts("timeout-late", "100 tasks that hang, 8 threads, timeout 0.5 s", _lateness),
    ],
    "A timeout here is for one task, from its own start, and leaves the other tasks alone.",
)
