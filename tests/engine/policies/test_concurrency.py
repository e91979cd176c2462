"""`max_workers="auto"`: how many calls at a time a service can stand, in simulated time."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any

import pytest

from metainformant.core import parallel
from metainformant.core.parallel.auto import Auto
from metainformant.core.parallel.engine.policies.concurrency import Concurrency

from .rivals import SCENARIOS, ours
from .services import AtOnce, Client, Knee, PerSecond, Service


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(
    ("make", "items", "best"),
    [rest for _, *rest in SCENARIOS],
    ids=[name for name, *_ in SCENARIOS],
)
def test_a_limit_is_used_and_hardly_ever_passed(
    make: Callable[[int], Service], items: int, best: float, seed: int
) -> None:
    result = Client(make(seed), ours(), items).run()
    assert result.seconds <= 1.15 * best
    assert result.refused <= 0.05


@pytest.mark.parametrize("knee", [3, 16, 50])
def test_no_more_calls_are_made_than_bring_anything(knee: int) -> None:
    controller = Concurrency(Auto(), 0.0)
    result = Client(Knee(0, knee), controller, 3000).run()
    assert result.most <= max(16, 2.5 * knee)  # it begins with 8, and tries twice as many
    assert 0.75 * knee <= controller.workers <= 1.5 * knee
    assert result.seconds <= 1.15 * 3000 * 0.2 / knee


@pytest.mark.parametrize("processors", [1, 2])
def test_computations_end_at_few_threads(processors: int) -> None:
    """Those that hold the GIL take turns, which is a knee at one call."""
    controller = Concurrency(Auto(), 0.0)
    result = Client(Knee(0, processors, seconds=0.02), controller, 2000).run()
    assert controller.workers <= 2
    assert result.seconds <= 1.05 * 2000 * 0.02 / processors


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(
    ("make", "speeds"),
    [
        (lambda seed: PerSecond(seed, [(0, 40), (40, 20), (80, 40)]), (40, 20, 40)),
        (lambda seed: AtOnce(seed, [(0, 25), (40, 12), (80, 25)]), (125, 60, 125)),
        (lambda seed: AtOnce(seed, [(0, 50), (40, 25), (80, 50)]), (250, 125, 250)),
    ],
    ids=["per second", "at once", "more at once"],
)
def test_a_limit_that_halves_and_doubles_is_followed(
    make: Callable[[int], Service], speeds: tuple[int, int, int], seed: int
) -> None:
    items = 40 * sum(speeds)
    result = Client(make(seed), ours(), items).run()
    assert result.seconds <= 1.15 * 120
    assert result.refused <= 0.05
    for changed, speed in ((40, speeds[1]), (80, speeds[2])):
        within = [result.speed(at, at + 2) for at in range(changed, changed + 9)]
        assert max(within[-8:]) >= 0.9 * speed


def _ended(controller: Concurrency, now: float, seconds: float = 0.2) -> None:
    controller.ended(now, now - seconds, 1, controller.workers)


def _round(controller: Concurrency, now: float) -> float:
    """Let all calls of a round end, each after 0.2 s; return the time."""
    for _ in range(controller.workers):
        _ended(controller, now + 0.2)
    return now + 0.2


def test_it_doubles_until_it_is_refused_and_is_cut_once_for_all_that_were_under_way() -> None:
    controller = Concurrency(Auto(), 0.0)
    now = 0.0
    for expected in (8, 16, 32):
        assert controller.workers == expected
        now = _round(controller, now)
    assert controller.workers == 64
    for _ in range(20):
        controller.refused(now + 0.1, now + 0.05, 64)
    assert controller.workers == 32  # what was known to be good
    _ended(controller, now + 0.4)
    controller.refused(now + 0.5, now + 0.09, 32)  # begun before that
    assert controller.workers == 32
    controller.refused(now + 0.5, now + 0.45, 32)
    assert controller.workers == int(32 * 0.85)
    assert [change.after for change in controller.history] == [16, 32, 64, 32, 27]
    assert all(change.why for change in controller.history)


def test_after_the_doublings_it_is_not_far_behind_for_long() -> None:
    """The limit is anywhere between the last doubling and the one before."""
    controller = Concurrency(Auto(), 0.0)
    now = 0.0
    for _ in range(2):
        now = _round(controller, now)
    controller.refused(now + 0.1, now + 0.05, 32)
    now += 0.2
    grown = []
    for _ in range(5):
        now = _round(controller, now)
        grown.append(controller.workers)
    assert grown == [17, 19, 21, 23, 25]  # by a tenth each
    result = Client(AtOnce(0, [(0, 25)]), ours(), 1500).run()
    assert result.seconds <= 1.13 * 1500 * 0.2 / 25
    assert result.refused <= 0.02


def test_it_stays_a_little_below_what_was_refused_for_some_rounds() -> None:
    controller = Concurrency(Auto(start=40), 0.0)
    controller.refused(0.1, 0.05, 40)
    now, seen = 0.2, []
    for _ in range(12):
        now = _round(controller, now)
        seen.append(controller.workers)
    assert seen[:7] == [37, 38, 38, 38, 38, 38, 39]  # by a tenth, and then after four rounds
    assert seen[-1] > 45


def test_a_refusal_of_fewer_is_not_taken_for_the_limit_at_once() -> None:
    controller = Concurrency(Auto(start=40), 0.0)
    controller.refused(0.1, 0.05, 40)
    _ended(controller, 0.4)
    controller.refused(0.5, 0.45, 34)
    now, seen = 0.6, []
    for _ in range(4):
        now = _round(controller, now)
        seen.append(controller.workers)
    assert seen == [31, 34, 35, 35]  # a little below 37, which is between the two


class _Short(AtOnce):
    seconds = 0.1


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_limit_of_calls_at_once_is_used_almost_whole(seed: int) -> None:
    result = Client(_Short(seed, [(0, 25)]), ours(), 1500).run()
    assert result.seconds <= 1.13 * 1500 * 0.1 / 25
    assert result.refused <= 0.008


def test_when_nothing_succeeds_it_pauses_and_then_tries_with_one() -> None:
    controller = Concurrency(Auto(), 0.0)
    _round(controller, 0.0)
    controller.refused(1.0, 0.9, 16)
    limit = controller.workers
    pauses = []
    now = 1.0
    for _ in range(12):
        controller.refused(now + 0.2, now + 0.1, limit)
        assert controller.workers == limit
        now += 0.2
        assert controller.allowed(now) == 0
        pauses.append(controller.next_wakeup - now)
        now = controller.next_wakeup
        assert controller.allowed(now) == 1
    assert pauses == sorted(pauses)
    assert 0 < pauses[0] < 0.3
    assert pauses[-1] == pytest.approx(3)
    _ended(controller, now + 0.3)
    assert controller.allowed(now + 0.3) == limit


def test_what_is_not_in_use_is_not_raised() -> None:
    controller = Concurrency(Auto(), 0.0)
    for number in range(100):
        controller.ended(0.2 * number + 0.2, 0.2 * number, 1, in_use=3)
    assert controller.history == []


def test_bounds_hold() -> None:
    controller = Concurrency(Auto(start=4, most=20, least=3), 0.0)
    now = 0.0
    for _ in range(10):
        now = _round(controller, now)
    assert controller.workers == 20
    for _ in range(40):
        _ended(controller, now + 1)
        controller.refused(now + 2, now + 1.9, controller.workers)
        now += 2
        _ended(controller, now + 1)
    assert controller.workers == 3


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ({"start": 0}, "start=0 must be a whole number, at least 1"),
        ({"most": 2, "start": 3}, "start=3 must not be above most=2"),
        ({"most": 2, "least": 3}, "most=2 must be a whole number, at least 3"),
    ],
)
def test_wrong_bounds_are_refused(bounds: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Auto(**bounds)


@pytest.mark.parametrize("most", [1, 4, 100])
def test_the_defaults_fit_the_bounds(most: int) -> None:
    assert Auto(most=most).start == min(8, most)
    assert Auto(least=9).start == 9


def test_other_kinds_of_workers_do_not_find_their_number() -> None:
    wrong: Any = "Auto"
    for backend in ("process", "interpreter"):
        with pytest.raises(ValueError, match=r"max_workers=Auto\(.*\) is for threads"):
            parallel.imap(abs, [1], backend=backend, max_workers="auto")
        with pytest.raises(TypeError, match=r"max_workers='Auto' must be .*, at least 1$"):
            parallel.imap(abs, [1], backend=backend, max_workers=wrong)
    with pytest.raises(TypeError, match=r"max_workers='Auto' must be .*, at least 1, or 'auto'$"):
        parallel.thread_map(abs, [1], max_workers=wrong)
    assert parallel.thread_map(abs, [-1], max_workers="auto") == [1]
    assert list(parallel.imap(abs, [-1], backend="serial", max_workers="auto")) == [1]
    assert math.isfinite(Auto().most)


def test_coroutines_find_their_number_and_settle_what_they_cost() -> None:
    letters = parallel.RateLimit(1e6, cost=lambda item: 10)

    async def task(item: int) -> int:
        await asyncio.sleep(0)
        letters.settle(1)
        return item

    options: dict[str, Any] = {"backend": "asyncio", "max_workers": Auto(start=2, most=4)}
    results = parallel.imap(task, range(50), rate=letters, max_cost=80, **options)
    assert list(results) == list(range(50))
