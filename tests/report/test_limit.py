"""The verdict: right on constructed runs, whose limit is known."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from metainformant.core import parallel
from metainformant.core.parallel.host.usage import Usage
from metainformant.core.parallel.report.judging import judge
from metainformant.core.parallel.report.limit import Limit
from metainformant.core.parallel.report.quantities import duration
from metainformant.core.parallel.report.record import Record
from metainformant.core.parallel.report.time_parts import PARTS, TimeParts

ITEMS, ELAPSED = 100, 10.0


class Built:
    """A run of equal chunks on each worker, and what the engine waited for meanwhile."""

    def __init__(self, backend: str, workers: int, cpus: int = 2, *, gil: bool = True) -> None:
        self.record = Record(workers, share_gil=backend == "thread" and gil)
        self.about: dict[str, Any] = {
            "backend": backend,
            "max_workers": workers,
            "auto": False,
            "rate": None,
            "options": {},
            "host": {"cpus": cpus, "gil": gil},
        }
        self.workers = workers
        self.count = 0

    def runs(
        self,
        busy: float,
        cpu: float,
        *,
        delayed: float = 0.0,
        threads: float = 1.0,
        items: int = ITEMS,
        workers: int | None = None,
    ) -> Built:
        """Let workers be busy for `busy` seconds, and compute for `cpu` of them."""
        for number in range(workers or self.workers):
            times = [busy * at / items for at in range(items + 1)]
            usage = Usage(cpu, delayed, 0, cpu / threads)
            self.record.chunk(
                f"w{number}", 0, 0, busy, self.count, items, str, times=times, usage=usage
            )
            self.record.outcomes(items, {}, str)
            self.count += items
        self.record.time.add_wait(0.0, self.workers, 0, None)
        return self

    def waits(self, reason: str, seconds: float, idle: int | None = None) -> Built:
        self.record.time.add_wait(seconds, 0, idle or self.workers, reason)
        return self

    def refused(self, count: int, **about: Any) -> Built:
        self.record.failed_attempts += count
        self.record.throttled = count
        self.about.update(about)
        return self

    def changed(self, before: int, after: int) -> Built:
        self.record.changes.add(1.0, before, after, "more brought too little")
        return self

    def sees(self, in_calls: int, gil: int, ready: int) -> Built:
        self.record.time.add_seen(in_calls, gil, ready)
        return self

    def verdict(self, elapsed: float = ELAPSED) -> Limit:
        return judge({**self.about, **self.record.data(elapsed, None)})


def _failing() -> Built:
    built = Built("thread", 8).runs(9.9, 0.1)
    built.record.outcomes(2000, {at: OSError("refused") for at in range(2000)}, str)
    return built


def _straggler() -> Built:
    built = Built("process", 8).runs(2.0, 2.0).waits("tail", 8.0, 7)
    built.record.chunk("w0", 2.0, 2.0, 10.0, 9999, 1, lambda _: "long", times=[2.0, 10.0])
    return built


def _quota() -> Built:
    built = Built("process", 4).runs(9.9, 4.0)
    built.record.time.throttled = 4.0
    return built


def _retried() -> Built:
    built = Built("thread", 4).runs(1.0, 0.1).waits("retries", 9.0)
    built.record.failed_attempts = 7
    return built


BUILT: dict[str, tuple[Callable[[], Built], str, str]] = {
    "GIL": (
        lambda: Built("thread", 8).runs(9.9, 1.2),
        "gil",
        r"GIL, and waited 87% of the time; process_map on 2 .* would take about 4\.8 s instead",
    ),
    "GIL, seen": (
        lambda: Built("thread", 8).runs(9.9, 0.6).sees(10, 80, 10),
        "gil",
        "waited for the GIL 79% of the time",
    ),
    "calls and GIL, seen": (
        lambda: Built("thread", 8).runs(9.9, 0.6).sees(70, 20, 10),
        "calls",
        "69% of the time",
    ),
    "threads without the GIL on few processors": (
        lambda: Built("thread", 8).runs(9.9, 2.4).sees(5, 5, 90),
        "not_scheduled",
        "not scheduled for 6.% of the time",
    ),
    "waiting for others": (
        lambda: Built("thread", 8).runs(9.9, 0.1),
        "calls",
        r"98% of the time; more than 8 workers would help, 16 .* 5 s",
    ),
    "one thread that waits": (
        lambda: Built("thread", 1).runs(9.9, 0.1),
        "calls",
        r"more than 1 worker would help, 2 would take",
    ),
    "one process": (
        lambda: Built("process", 1, cpus=8).runs(9.9, 9.8),
        "workers",
        r"^1 worker computed for 98% of the time on 8 processors",
    ),
    "one processor": (
        lambda: Built("process", 1, cpus=1).runs(9.9, 9.8),
        "computing",
        r"on 1 worker and 1 processor; only faster code",
    ),
    "too few processes": (
        lambda: Built("process", 2, cpus=8).runs(9.9, 9.8),
        "workers",
        r"2 workers computed for 98% of the time on 8 processors; .* 8 would take about 2\.5 s",
    ),
    "all processors": (lambda: Built("process", 2).runs(9.9, 9.8), "computing", "only faster code"),
    "reader": (
        lambda: Built("thread", 2).runs(0.4, 0.1).waits("input", 9.6),
        "input",
        "waited for the input 96% of the time; more of them change nothing",
    ),
    "consumer": (lambda: Built("thread", 2).runs(1, 1).waits("consumer", 9), "consumer", "90%"),
    "rate": (lambda: Built("thread", 2).runs(1, 1).waits("rate", 9), "rate", "20 starts per"),
    "retries": (_retried, "retries", "90% of the time .7 attempts failed"),
    "callbacks": (
        lambda: Built("thread", 2).runs(1, 1).waits("callbacks", 9),
        "callbacks",
        "90% of the time while on_complete was called",
    ),
    "auto": (
        lambda: Built("thread", 40).refused(0, auto=True).runs(9.9, 0.1),
        "calls",
        r"came up to 40 workers, and Auto\(start=40\)",
    ),
    "auto, and the GIL": (
        lambda: Built("thread", 16).refused(0, auto=True).changed(16, 2).runs(0.6, 0.6),
        "gil",
        r'GIL, and waited 94% of the time; max_workers="auto" ended at 2 of them; process_map on 2',
    ),
    "rate, and workers in calls": (
        lambda: Built("thread", 2).runs(9.9, 0.1).refused(0, rate=21.0),
        "rate",
        "20 of the 21 per second that it allows; more workers change nothing",
    ),
    "rate that is not reached": (
        lambda: Built("thread", 2).runs(9.9, 0.1).refused(0, rate=40.0),
        "calls",
        "more than 2 workers would help",
    ),
    "refused, and retries": (
        lambda: Built("thread", 4).runs(1.0, 0.1).waits("retries", 9.0).refused(243),
        "throttled",
        r'refused 243 of 400 calls .* max_workers="auto", or a rate of the 15.7 per second',
    ),
    "refused, and calls": (lambda: Built("thread", 4).runs(9.9, 0.1).refused(7), "throttled", "7"),
    "refused, and coroutines": (
        lambda: Built("asyncio", 4).runs(9.9, 0.1).refused(7),
        "throttled",
        "7 of 400",
    ),
    "refused, and a rate": (
        lambda: Built("thread", 2).runs(1, 1).waits("rate", 9).refused(7, rate=20.0),
        "throttled",
        "a rate of no more than the 19.3 per second",
    ),
    "refused, and auto": (
        lambda: Built("thread", 4).runs(9.9, 0.1).refused(7, auto=True),
        "throttled",
        "only a higher limit there",
    ),
    "refused, and too few processes": (
        lambda: Built("process", 2, cpus=8).runs(9.9, 9.8).refused(7),
        "computing",
        "faster code",
    ),
    "too small": (
        lambda: Built("process", 2).runs(0.3, 0.2, items=100_000),
        "small_items",
        r"Items of 3 us are too small for processes: the calls took 600 ms in all",
    ),
    "straggler": (
        _straggler,
        "tail",
        r"70% .* the longest item \('long'\) ran 8 s of 10 s.* would take about 8 s",
    ),
    "BLAS": (
        lambda: Built("process", 8).runs(9.9, 2.4, delayed=7, threads=2),
        "oversubscribed",
        r"8 workers x 2 threads that compute .* on 2 processors",
    ),
    "too many processes": (
        lambda: Built("process", 8).runs(9.9, 2.4, delayed=7.4),
        "oversubscribed",
        "8 workers on 2 processors were ready but not scheduled for 74%",
    ),
    "others": (
        lambda: Built("process", 2).runs(9.9, 2.4, delayed=7.4),
        "not_scheduled",
        "other processes want more than the 2 processors",
    ),
    "quota": (_quota, "quota", "stopped the process for 40% of the time"),
    "failing": (_failing, "failures", "71% of the items failed .* most with OSError"),
    "start": (lambda: Built("process", 2).runs(1, 1), "transport", "Handing over"),
}


@pytest.mark.parametrize("name", BUILT)
def test_the_verdict_on_a_run_whose_limit_is_known(name: str) -> None:
    build, kind, match = BUILT[name]
    verdict = build().verdict()
    assert verdict.kind == kind, verdict
    assert re.search(match, verdict.sentence), verdict.sentence
    assert str(verdict) == verdict.sentence


@pytest.mark.parametrize(("items", "elapsed"), [(49, 10.0), (50, 0.49)])
def test_nothing_is_told_of_too_little(items: int, elapsed: float) -> None:
    built = Built("thread", 1).runs(elapsed, elapsed, items=items)
    assert built.verdict(elapsed).kind == "unknown"


def test_without_the_gil_nothing_is_blamed_on_it() -> None:
    built = Built("thread", 8, gil=False).runs(9.9, 1.2)
    assert built.verdict().kind == "calls"


def test_every_part_can_be_the_largest() -> None:
    built = Built("thread", 1).runs(1.0, 1.0)
    run = {**built.about, **built.record.data(ELAPSED, None)}
    for part in PARTS:
        run["time"]["parts"] = {part: 10.0}
        run["time"]["worker_seconds"] = 10.0
        verdict = judge(run)
        assert verdict.kind != "unknown"
        assert "100%" in verdict.sentence or part == "tiny"


def test_starting_for_long_is_no_fault_of_the_loop_where_workers_are_prepared() -> None:
    built = Built("asyncio", 2)
    for worker in ("w0", "w1"):
        built.record.chunk(worker, 0, 5, 6, 0, ITEMS, str)
    built.record.time.add_wait(0.0, 2, 0, None)
    assert built.verdict().kind == "event_loop"
    built.about["options"] = {"worker_state": "open"}
    assert built.verdict().kind == "startup"


def test_a_loop_in_which_some_coroutines_begin_later_is_busy_too() -> None:
    built = Built("asyncio", 2).runs(1.0, 1.0)
    run = {**built.about, **built.record.data(ELAPSED, None)}
    run["time"]["worker_seconds"] = 10.0
    run["time"]["parts"] = {"startup": 2.0, "transport": 3.1, "tail": 4.9}
    assert judge(run).kind == "event_loop"
    run["time"]["parts"] = {"startup": 0.1, "transport": 5.0, "tail": 4.9}
    assert judge(run).kind == "tail"


def test_workers_that_were_not_allowed_yet_did_not_wait() -> None:
    time_parts = TimeParts(100, is_auto=True)
    time_parts.add_wait(5.0, 10, 0, None)
    time_parts.add_wait(5.0, 30, 0, None)
    for _ in range(10):
        time_parts.add_busy(0, 0, 10, 0, None)
    for _ in range(20):
        time_parts.add_busy(5, 5, 10, 5, None)
    data = time_parts.data(10.0)
    assert data["worker_seconds"] == 200.0  # and not 30 x 10
    assert data["parts"] == {"unknown": 200.0}


def test_a_rate_is_told_of_a_run() -> None:
    report = parallel.Report()
    parallel.thread_map(abs, range(10), rate=100, report=report)
    (run,) = report.data["runs"]
    assert (run["rate"], run["auto"]) == (100.0, False)
    limit = parallel.RateLimit(600, per=60)
    report = parallel.Report()
    parallel.thread_map(
        abs, [1], rate=[limit, parallel.RateLimit(1000)], report=report, max_workers="auto"
    )
    (run,) = report.data["runs"]
    assert (run["rate"], run["auto"]) == (10.0, True)


class RefusedError(Exception):
    status_code = 429


def test_refusals_are_no_failures() -> None:
    refused: set[int] = set()

    def once(number: int) -> int:
        if number % 2 and number not in refused:
            refused.add(number)
            raise RefusedError
        if number == 0:
            raise OSError
        return number

    report = parallel.Report()
    parallel.thread_map(once, range(60), 2, backoff=0.01, report=report)
    counts = report.data["runs"][0]["counts"]
    assert counts["throttled"] == 30
    assert (counts["failed_attempts"], counts["failed"]) == (1, 1)
    assert counts["attempts"] == 90


def test_what_waited_for_a_processor_is_told() -> None:
    built = Built("process", 2).runs(9.9, 2.4, delayed=7.4)
    built.record.time.pressure = 8.3
    assert "something waited for one 83% of the time" in str(built.verdict())
    built.record.time.pressure = 83.0  # of another clock
    assert "100% of the time" in str(built.verdict())


def test_seconds_are_those_of_the_sentence() -> None:
    for build, kind, _ in BUILT.values():
        limit = build().verdict()
        assert (limit.seconds is not None) == (
            "would take about" in str(limit) or "plain loop" in str(limit)
        ), kind
        if limit.seconds is not None:
            assert duration(limit.seconds) in limit.sentence


def test_an_item_that_was_given_up_is_the_longest_too() -> None:
    built = Built("process", 8).runs(2.0, 2.0).waits("tail", 8.0, 7)
    built.record.chunk("w0", 2.0, 2.0, 10.0, 9999, 0, lambda _: "stuck", times=[], given_up=8.0)
    limit = built.verdict()
    assert limit.kind == "tail"
    assert limit.seconds is not None
    assert limit.seconds >= 8.0
