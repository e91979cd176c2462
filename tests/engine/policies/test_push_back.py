"""Refusals of services: no failures, tried again, and all starts heed them."""

from __future__ import annotations

import collections
import math
import threading
import time
from typing import Any

import pytest

from metainformant.core import parallel


class RefusedError(Exception):
    """An answer that says 'slow down'."""

    status_code = 429

    def __init__(self, **headers: str) -> None:
        super().__init__("slow down")
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class Service:
    """Refuses the first attempts of every item; thread-safe."""

    def __init__(self, refusals: int, **headers: str) -> None:
        self.refusals = refusals
        self.headers = headers
        self.attempts: collections.Counter[Any] = collections.Counter()
        self.lock = threading.Lock()

    def __call__(self, item: Any) -> Any:
        with self.lock:
            self.attempts[item] += 1
            attempt = self.attempts[item]
        if attempt <= self.refusals:
            raise RefusedError(**self.headers)
        return item


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"on_error": "raise"},
        {"on_error": "raise", "max_workers": 1},
        {"on_error": "raise", "throttled": RefusedError},
        {"on_error": "raise", "throttled": lambda error: "slow down" in str(error)},
        {"max_failures": 0, "on_error": "skip"},
        {"chunk_size": 7},
        {"retries": 3, "retry_on": KeyError},
    ],
)
def test_refusals_are_no_failures(options: dict[str, Any]) -> None:
    service = Service(2)
    results = parallel.thread_map(service, range(20), backoff=0, **options)
    assert results == list(range(20))
    assert set(service.attempts.values()) == {3}


@pytest.mark.parametrize(("retries", "tries"), [(0, 5), (1, 1), (7, 7)])
def test_an_item_that_is_refused_again_and_again_fails(retries: int, tries: int) -> None:
    service = Service(10**6)
    (outcome,) = parallel.outcomes(service, ["a"], retries=retries, backoff=0)
    assert isinstance(outcome.error, RefusedError)
    assert service.attempts == {"a": tries + 1}
    assert (outcome.attempts, outcome.throttled) == (tries + 1, tries)


def test_failures_and_refusals_are_counted_apart() -> None:
    attempts: list[int] = []
    reports: list[parallel.Progress] = []

    def task(item: int) -> int:
        attempts.append(item)
        if len(attempts) in (1, 3):
            raise RefusedError
        if len(attempts) in (2, 4):
            raise OSError
        return item

    (outcome,) = parallel.outcomes(
        task, [0], retries=2, backoff=0, throttled=RefusedError, progress=reports.append
    )
    assert outcome.ok
    assert (outcome.attempts, outcome.throttled) == (5, 2)
    assert (reports[-1].retried, reports[-1].throttled, reports[-1].failed) == (2, 2, 0)


@pytest.mark.parametrize("throttled", [None, KeyError, lambda error: False])
def test_who_wants_it_otherwise_says_so(throttled: Any) -> None:
    service = Service(1)
    (error,) = parallel.thread_map(service, ["a"], throttled=throttled)
    assert isinstance(error, RefusedError)


@pytest.mark.parametrize("rate", [None, 1e5])
def test_all_starts_heed_what_a_service_asks_for(rate: float | None) -> None:
    """One call is refused while others wait for a worker; none of them starts before the time."""
    seconds = 0.4
    refused_at: list[float] = []
    starts: list[float] = []
    meet = threading.Barrier(2, timeout=30)

    def task(item: int) -> int:
        starts.append(time.monotonic())
        if len(starts) <= 2:
            meet.wait()  # so that both workers are busy when the first refusal comes
            refused_at.append(time.monotonic())
            raise RefusedError(retry_after_ms=str(1000 * seconds))
        return item

    results = parallel.thread_map(task, range(40), 2, rate=rate, backoff=0)
    assert results == list(range(40))
    # The engine needs a moment to learn of a refusal, in which a call may start.
    later = [start for start in starts[2:] if start > max(refused_at) + 0.1]
    assert min(later) >= min(refused_at) + seconds
    assert len(starts) - 2 - len(later) <= 4


def test_a_pause_holds_for_all_who_share_the_limit() -> None:
    limit = parallel.RateLimit(1e6)
    service = Service(1, Retry_After="0.3")
    began = time.monotonic()
    thread = threading.Thread(
        target=lambda: parallel.thread_map(service, ["a"], rate=limit, backoff=0)
    )
    thread.start()
    while limit.try_acquire() == 0 and time.monotonic() < began + 30:
        time.sleep(0.001)
    assert limit.try_acquire() > 0
    limit.acquire()
    assert time.monotonic() >= began + 0.3
    thread.join()


def test_a_deadline_ends_a_pause() -> None:
    (error,) = parallel.thread_map(Service(1, Retry_After="3600"), ["a"], deadline=0.2)
    assert isinstance(error, parallel.TaskCancelledError)
    assert error.waiting


def test_processes_are_refused_too() -> None:
    results = parallel.process_map(_refused_once, range(4), 2, backoff=0, on_error="raise")
    assert results == list(range(4))


def _refused_once(item: int) -> int:
    task = parallel.current_task()
    if task is not None and task.attempt == 1:
        raise RefusedError
    return item


@pytest.mark.parametrize("value", [3, "429", (KeyError, 3), [math]])
def test_wrong_answers_are_refused(value: Any) -> None:
    with pytest.raises(TypeError, match=r"throttled=.* must be an exception class, a tuple"):
        parallel.thread_map(abs, [1], throttled=value)
