"""Thousands of short maps with random faults, every outcome compared with what it must be."""

from __future__ import annotations

import os
import random
import threading
import time
from typing import Any

from metainformant.core import parallel
from tests.support import wait_for_other_threads

# What is run by default takes a few seconds. To look for something rare: PARALLEL_STRESS=10000.
MAPS = int(os.environ.get("PARALLEL_STRESS", "300"))
ITEMS = 50
TIMEOUT = 0.05


class Faults:
    """One map: what each of its items does, and which of them have been run."""

    def __init__(self, seed: int) -> None:
        chance = random.Random(seed)
        # Few maps have hung tasks, since each of those takes a whole timeout.
        hangs = 0.02 if seed % 10 == 0 else 0.0
        kinds = ("value", "fail", "sleep", "spin", "return error", "hang", "busy")
        weights = (60, 15, 10, 5, 5, 100 * hangs, 100 * hangs)
        self.kinds = chance.choices(kinds, weights, k=ITEMS)
        self.timeout = TIMEOUT if hangs or chance.random() < 0.3 else None
        self.release = threading.Event()
        self.runs: list[int] = []  # appended to by all workers; list.append is atomic
        self.options: dict[str, Any] = {
            "max_workers": chance.choice((1, 2, 3, 8, 20)),
            "chunk_size": chance.choice((None, None, 1, 7, 100)),
            "ordered": chance.random() < 0.7,
            "timeout": self.timeout,
        }

    def task(self, number: int) -> Any:
        self.runs.append(number)
        kind = self.kinds[number]
        if kind == "fail":
            raise ValueError(number)
        if kind == "return error":
            return KeyError(number)
        if kind == "sleep":
            time.sleep(0.001)
        if kind == "spin":
            until = time.monotonic() + 0.0005
            while time.monotonic() < until:
                pass
        if kind == "hang":
            self.release.wait(60)
        while kind == "busy" and not self.release.is_set():
            time.monotonic()
        return number

    def check(self, results: list[Any]) -> None:
        assert len(results) == ITEMS
        numbers = [self.number_of(result) for result in results]
        # An overdue item may have been given up before its first line: the machine was that busy.
        overdue = {
            number
            for number, result in zip(numbers, results, strict=True)
            if isinstance(result, parallel.TaskTimeoutError)
        }
        runs = self.runs.copy()
        assert len(set(runs)) == len(runs), "an item was run twice"
        assert set(range(ITEMS)) - set(runs) <= overdue, "an item was lost"
        if self.options["ordered"]:
            assert numbers == list(range(ITEMS))
        else:
            assert sorted(numbers) == list(range(ITEMS))
        for number, result in zip(numbers, results, strict=True):
            kind = self.kinds[number]
            if isinstance(result, parallel.TaskTimeoutError) and kind not in ("hang", "busy"):
                # Only if the machine stood still for a whole timeout.
                assert self.timeout is not None
                continue
            expected = {
                "fail": ValueError,
                "return error": KeyError,
                "hang": parallel.TaskTimeoutError,
                "busy": parallel.TaskTimeoutError,
            }
            assert type(result) is expected.get(kind, int)

    def number_of(self, result: Any) -> int:
        if isinstance(result, parallel.TaskTimeoutError):
            return result.index
        return result.args[0] if isinstance(result, Exception) else result  # type: ignore[no-any-return]


def test_many_maps_with_random_faults() -> None:
    before = set(threading.enumerate())
    for seed in range(MAPS):
        faults = Faults(seed)
        results = parallel.thread_map(faults.task, range(ITEMS), **faults.options)
        try:
            faults.check(results)
        except AssertionError as error:
            error.add_note(f"seed {seed}, options {faults.options}")
            raise
        finally:
            faults.release.set()
    wait_for_other_threads(before)  # none outlives the last stuck task
