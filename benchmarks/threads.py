"""Thread maps against their peers and against what is physically possible.

Run `make bench`, or `python benchmarks/threads.py [WORKLOAD ...]` where everything is installed.
All contenders of a workload run in turn, round after round, in this one process, so that a slow
minute of the machine slows all of them. The table shows medians, the spread, and ratios to the
plain loop or to the ideal schedule.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.pool import ThreadPool
from typing import Any, NamedTuple

from metainformant.core import parallel

Contender = Callable[[], object]


class Workload(NamedTuple):
    name: str
    ideal: float | None  # seconds; None: the contender "plain loop" is the ideal
    rounds: int
    contenders: dict[str, Contender]


def nothing(item: object) -> object:
    return item


def pool_map(func: Callable[[Any], Any], items: Any, workers: int) -> list[Any]:
    with ThreadPool(workers) as pool:
        return pool.map(func, items)


def executor_map(func: Callable[[Any], Any], items: Any, workers: int) -> list[Any]:
    with ThreadPoolExecutor(workers) as executor:
        return list(executor.map(func, items))


def peers(func: Callable[[Any], Any], items: Any, workers: int) -> dict[str, Contender]:
    return {
        "metainformant": lambda: parallel.thread_map(func, items, workers),
        "metainformant, timeout=30": lambda: parallel.thread_map(func, items, workers, timeout=30),
        "multiprocessing.pool.ThreadPool": lambda: pool_map(func, items, workers),
    }


def tiny(count: int, rounds: int) -> Workload:
    items = list(range(count))
    contenders: dict[str, Contender] = {"plain loop": lambda: list(map(nothing, items))}
    contenders |= peers(nothing, items, 8)
    contenders["metainformant, unordered"] = lambda: parallel.thread_map_unordered(nothing, items)
    if count <= 100_000:
        contenders["ThreadPoolExecutor"] = lambda: executor_map(nothing, items, 8)
    return Workload(f"no-op, {count:,} items, 8 threads", None, rounds, contenders)


def sleeps() -> Workload:
    naps = [0.001] * 20_000
    contenders = peers(time.sleep, naps, 64)
    contenders["ThreadPoolExecutor"] = lambda: executor_map(time.sleep, naps, 64)
    contenders["bare threads on one iterator"] = lambda: bare_threads(time.sleep, naps, 64)
    return Workload("sleep 1 ms, 20,000 items, 64 threads", 0.3125, 9, contenders)


def bare_threads(func: Callable[[Any], Any], items: Any, workers: int) -> None:
    """The least that threads can cost here; it has no results, no errors, no order."""
    iterator = iter(items)

    def work() -> None:
        for item in iterator:
            func(item)

    threads = [threading.Thread(target=work) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def skewed(long_first: bool) -> Workload:
    long, short = [0.5] * 2, [0.002] * 4000
    naps = long + short if long_first else short + long
    contenders = peers(time.sleep, naps, 8)
    contenders["ThreadPoolExecutor"] = lambda: executor_map(time.sleep, naps, 8)
    where = "first" if long_first else "last"
    name = f"4,000 sleeps of 2 ms, two of 0.5 s {where}, 8 threads"
    return Workload(name, 1.125 if long_first else 1.5, 3, contenders)


def one_item() -> Workload:
    return Workload(
        "one call with one item",
        None,
        301,
        {
            "plain loop": lambda: list(map(nothing, [1])),
            "metainformant": lambda: parallel.thread_map(nothing, [1]),
            "ThreadPoolExecutor": lambda: executor_map(nothing, [1], 8),
            "multiprocessing.pool.ThreadPool": lambda: pool_map(nothing, [1], 8),
        },
    )


def python_process(code: str) -> Contender:
    command = [sys.executable, "-I", "-c", textwrap.dedent(code)]
    return lambda: subprocess.run(command, check=True, capture_output=True)


def importing() -> Workload:
    return Workload(
        "import, as whole processes",
        None,
        21,
        {
            "plain loop": python_process("pass"),
            "metainformant.core.parallel": python_process("import metainformant.core.parallel"),
            "concurrent.futures.thread": python_process("import concurrent.futures.thread"),
            "multiprocessing.pool": python_process("import multiprocessing.pool"),
        },
    )


def hanging() -> Workload:
    code = """
        import threading
        from metainformant.core import parallel
        hang = threading.Event()
        results = parallel.thread_map(lambda _: hang.wait(), range(900), 100, timeout=0.2)
        assert sum(isinstance(result, TimeoutError) for result in results) == 900
    """

    def in_process() -> None:
        hang = threading.Event()
        results = parallel.thread_map(lambda _: hang.wait(), range(900), 100, timeout=0.2)
        assert sum(isinstance(result, TimeoutError) for result in results) == 900
        hang.set()  # or the threads of one round would be in the way of the next

    contenders = {
        "metainformant, whole process with exit": python_process(code),
        "metainformant": in_process,
        # The others have no timeout for a task that runs: they never return.
    }
    return Workload("900 tasks that hang, 100 threads, timeout 0.2 s", 1.8, 3, contenders)


def spin(seconds: float) -> None:
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        pass


def timeout_cost(microseconds: int) -> Workload:
    tasks = [microseconds / 1e6] * (20_000 if microseconds else 200_000)
    func = spin if microseconds else nothing
    contenders: dict[str, Contender] = {
        "plain loop": lambda: [func(task) for task in tasks],
        "metainformant": lambda: parallel.thread_map(func, tasks),
        "metainformant, timeout=1": lambda: parallel.thread_map(func, tasks, timeout=1),
    }
    return Workload(f"tasks of {microseconds} us, 8 threads", None, 9, contenders)


def lateness() -> None:
    """How late timeouts fire, and when the places of stuck tasks are used again."""
    hang, started, timeout = threading.Event(), dict[int, float](), 0.5

    def task(number: int) -> None:
        started[number] = time.monotonic()
        hang.wait()

    late = []
    for outcome in parallel.outcomes(task, range(100), timeout=timeout, ordered=False):
        assert isinstance(outcome.error, parallel.TaskTimeoutError)
        late.append(time.monotonic() - started[outcome.index] - timeout)
    hang.set()
    starts = sorted(started.values())
    reused = [after - before - timeout for before, after in zip(starts, starts[8:], strict=False)]
    print("\n### 100 tasks that hang, 8 threads, timeout 0.5 s\n")
    print("| | median | 99th percentile | latest |\n| --- | --- | --- | --- |")
    for name, seconds in (("lateness", late), ("until the place is used again", reused)):
        cuts = statistics.quantiles(seconds, n=100)
        row = [1000 * value for value in (statistics.median(seconds), cuts[98], max(seconds))]
        print(f"| {name} |", " | ".join(f"{value:.1f} ms" for value in row), "|")


WORKLOADS: dict[str, Callable[[], Workload]] = {
    "tiny": lambda: tiny(100_000, 25),
    "many": lambda: tiny(1_000_000, 15),
    "sleeps": sleeps,
    "skew-first": lambda: skewed(long_first=True),
    "skew-last": lambda: skewed(long_first=False),
    "one": one_item,
    "import": importing,
    "hang": hanging,
    "timeout-0": lambda: timeout_cost(0),
    "timeout-10": lambda: timeout_cost(10),
    "timeout-100": lambda: timeout_cost(100),
}


def measure(workload: Workload) -> None:
    times: dict[str, list[float]] = {name: [] for name in workload.contenders}
    for contender in workload.contenders.values():
        contender()  # a round that does not count
    for _ in range(workload.rounds):
        for name, contender in workload.contenders.items():
            started = time.perf_counter()
            contender()
            times[name].append(time.perf_counter() - started)
    ideal = workload.ideal or statistics.median(times["plain loop"])
    print(f"\n### {workload.name}\n")
    print("| | median | fastest | slowest | to the ideal |\n| --- | --- | --- | --- | --- |")
    for name, seconds in times.items():
        median = statistics.median(seconds)
        row = [name, *(f"{1000 * value:,.2f} ms" for value in (median, min(seconds), max(seconds)))]
        print("|", " | ".join([*row, f"{median / ideal:.2f}"]), "|")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "workloads", nargs="*", metavar="WORKLOAD", help=", ".join([*WORKLOADS, "lateness"])
    )
    chosen = parser.parse_args().workloads or [*WORKLOADS, "lateness"]
    print(f"Python {platform.python_version()}, {platform.platform()}, {os.cpu_count()} CPUs")
    for name in chosen:
        if name == "lateness":
            lateness()
        else:
            measure(WORKLOADS[name]())


if __name__ == "__main__":
    main()
