"""Properties of the engine, in simulated time: every item exactly one outcome, whatever happens."""

from __future__ import annotations

import math
import random
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metainformant.core.parallel.calls import MapCall, choose_workers, make_call
from metainformant.core.parallel.engine.loop import Engine
from metainformant.core.parallel.engine.outcome_batch import OutcomeBatch
from metainformant.core.parallel.engine.source import Chunk, ListSource
from metainformant.core.parallel.errors import ParallelError, TaskCancelledError, TaskTimeoutError
from metainformant.core.parallel.rate import RateLimit
from metainformant.core.parallel.runner.delivery import Selection, SlotCollector
from metainformant.core.parallel.runner.ending import raise_failure, raise_stop
from tests.support import examples

from .backend import NEVER, Behaviour, SimBackend, SimJob, Simulation

durations = st.one_of(
    st.sampled_from([0.0, 1e-7, 1e-4, 1e-3, 0.02, 0.3, 2.0]),
    st.floats(0, 5, allow_nan=False),
)
behaviours = st.lists(
    st.one_of(
        st.builds(Behaviour, durations, st.booleans(), st.just(NEVER)),
        st.just(Behaviour(1e-6)),
        st.just(Behaviour(math.inf)),
    ),
    max_size=60,
)
races = st.sampled_from([0.0, 1e-6, 1e-3])
steps = st.sampled_from([0.0, 1e-7, 1e-4, 2e-3])


_OPTIONS = ("deadline", "cancel", "max_abandoned", "retries", "backoff", "rate")


def call_of(*, max_workers: int, **arguments: Any) -> MapCall:
    options: dict[str, Any] = {name: arguments.pop(name) for name in _OPTIONS if name in arguments}
    workers = choose_workers("simulated", max_workers)
    return make_call("simulated", abs, workers, options, **arguments)


class Result:
    def __init__(
        self, batches: list[OutcomeBatch], simulation: Simulation, backend: SimBackend
    ) -> None:
        self.batches = batches
        self.simulation = simulation
        self.backend = backend
        self.slots: dict[int, Any] = {}
        for batch in batches:
            for index, value in enumerate(batch.values, batch.start):
                assert index not in self.slots, f"item {index} has two outcomes"
                self.slots[index] = value


def run(
    call: MapCall,
    tasks: list[Behaviour],
    *,
    step: float = 1e-7,
    race: float = 0.0,
    max_spawns: int = 10**9,
    stops_at_once: bool = False,
) -> Result:
    simulation = Simulation(tasks, step, race)
    backend = SimBackend(simulation, max_spawns=max_spawns, stops_at_once=stops_at_once)
    engine = Engine(
        call,
        ListSource(range(len(tasks))),
        backend,
        poll_interval=None if call.options.ordered else 0.005,
        clock=simulation.clock,
    )
    batches: list[OutcomeBatch] = []
    ending = engine.run(batches.append)
    raise_failure(ending)
    raise_stop(ending, call.options, [])
    return Result(batches, simulation, backend)


def values_of(engine: Engine) -> int:
    """Run the map; return how many outcomes it delivered."""
    counts: list[int] = []
    engine.run(lambda batch: counts.append(len(batch.values)))
    return sum(counts)


def check_everything_ran_once(result: Result, tasks: list[Behaviour], timeout: float) -> None:
    assert sorted(result.slots) == list(range(len(tasks)))
    for index, task in enumerate(tasks):
        starts = result.simulation.starts.get(index, [])
        assert len(starts) == 1, f"item {index} was started {len(starts)} times"
        value = result.slots[index]
        if isinstance(value, TaskTimeoutError):
            assert value.index == index
            assert task.seconds >= timeout
        elif task.fails:
            assert isinstance(value, ValueError)
            assert value.args == (index,)
        else:
            assert value == index


@examples(4)
@given(
    tasks=behaviours,
    workers=st.integers(1, 9),
    chunk_size=st.one_of(st.none(), st.integers(1, 70)),
    timeout=st.sampled_from([0.01, 0.5, 3.0]),
    ordered=st.booleans(),
    step=steps,
    race=races,
    stops_at_once=st.booleans(),
)
def test_every_item_gets_exactly_one_outcome(
    tasks: list[Behaviour],
    workers: int,
    chunk_size: int | None,
    timeout: float,
    ordered: bool,
    step: float,
    race: float,
    stops_at_once: bool,
) -> None:
    call = call_of(max_workers=workers, chunk_size=chunk_size, timeout=timeout, ordered=ordered)
    result = run(call, tasks, step=step, race=race, stops_at_once=stops_at_once)
    check_everything_ran_once(result, tasks, timeout)
    assert result.backend.most_working <= workers
    assert result.backend.closed is True


@examples(2)
@given(tasks=behaviours, workers=st.integers(1, 5), step=steps)
def test_a_timeout_is_neither_early_nor_late(
    tasks: list[Behaviour], workers: int, step: float
) -> None:
    """Every hung task is given up within max(50 ms, 5 %) after its limit."""
    timeout = 0.5
    call = call_of(max_workers=workers, timeout=timeout)
    simulation = Simulation(tasks, step)
    backend = SimBackend(simulation)
    engine = Engine(call, ListSource(range(len(tasks))), backend, clock=simulation.clock)

    def deliver(batch: OutcomeBatch) -> None:
        for index, error in batch.failed.items():
            if isinstance(error, TaskTimeoutError):
                late = simulation.now - simulation.starts[index][0] - timeout
                # The clock itself moves at each look, and there are some of those per item.
                assert -1e-9 <= late <= 0.05 + 100 * step

    assert engine.run(deliver).kind == "completed"


@given(
    hung=st.integers(1, 60), workers=st.integers(1, 20), chunk_size=st.sampled_from([None, 1, 7])
)
def test_a_map_of_nothing_but_hung_tasks_ends(
    hung: int, workers: int, chunk_size: int | None
) -> None:
    tasks = [Behaviour(math.inf)] * hung
    call = call_of(max_workers=workers, timeout=0.2, chunk_size=chunk_size)
    result = run(call, tasks)
    check_everything_ran_once(result, tasks, 0.2)
    rounds = math.ceil(hung / workers)
    assert result.simulation.now <= rounds * (0.2 + 0.05) + 0.01


@examples(1.5)
@given(
    seconds=st.lists(st.floats(0.001, 1), min_size=1, max_size=60),
    workers=st.integers(1, 8),
    chunk_size=st.one_of(st.none(), st.integers(1, 70)),
    stops_at_once=st.booleans(),
)
def test_no_worker_idles_while_an_item_waits(
    seconds: list[float], workers: int, chunk_size: int | None, stops_at_once: bool
) -> None:
    """So the map takes no longer than any greedy schedule may (Graham 1966)."""
    call = call_of(max_workers=workers, chunk_size=chunk_size)
    result = run(call, [Behaviour(task) for task in seconds], stops_at_once=stops_at_once)
    greedy = sum(seconds) / workers + (1 - 1 / workers) * max(seconds)
    # An idle worker may wait one millisecond for each share that it takes from another.
    assert max(result.simulation.ends.values()) <= greedy + 0.002 * (len(seconds) + 2)


@pytest.mark.parametrize("share_thread", [True, False])
def test_nor_do_hundreds_of_them(share_thread: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are too many for the largest rest of all to be looked for."""
    monkeypatch.setattr(SimBackend, "share_thread", share_thread)
    chance = random.Random(1)
    seconds = [chance.choice([0.001, 0.03, 0.1]) for _ in range(3000)]
    result = run(call_of(max_workers=300), [Behaviour(task) for task in seconds])
    greedy = sum(seconds) / 300 + max(seconds)
    assert sorted(result.slots) == list(range(3000))
    assert max(result.simulation.ends.values()) <= greedy + 0.05


def test_tasks_of_one_thread_begin_with_one_item_each_and_get_larger_chunks_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing is kept ready for them before it is known how large it should be."""
    monkeypatch.setattr(SimBackend, "share_thread", True)
    submit, chunks = SimBackend.submit, 0

    def counted(self: SimBackend, chunk: Chunk, **options: bool) -> SimJob:
        nonlocal chunks
        chunks += 1
        return submit(self, chunk, **options)

    monkeypatch.setattr(SimBackend, "submit", counted)
    result = run(call_of(max_workers=100), [Behaviour(0.05)] * 1000)
    assert sorted(result.slots) == list(range(1000))
    assert chunks <= 320
    assert max(result.simulation.ends.values()) <= 0.55


@examples(1.5)
@given(
    tasks=behaviours,
    workers=st.integers(1, 6),
    deadline=st.sampled_from([0.001, 0.4, 2.5]),
    race=races,
)
def test_a_deadline_ends_everything_and_keeps_what_was_finished(
    tasks: list[Behaviour], workers: int, deadline: float, race: float
) -> None:
    call = call_of(max_workers=workers, deadline=deadline)
    result = run(call, tasks, race=race)
    assert sorted(result.slots) == list(range(len(tasks)))
    assert result.simulation.now <= deadline + 0.1
    for index, value in result.slots.items():
        starts = result.simulation.starts.get(index, [])
        assert len(starts) <= 1
        if isinstance(value, TaskCancelledError):
            assert value.index == index
            assert value.started == bool(starts)
        else:
            assert starts


@examples(3)
@given(
    tasks=st.lists(
        st.builds(
            Behaviour, st.sampled_from([1e-6, 0.01, 0.2, 5.0]), st.booleans(), st.integers(2, 5)
        ),
        max_size=40,
    ),
    workers=st.integers(1, 6),
    chunk_size=st.one_of(st.none(), st.integers(1, 50)),
    retries=st.integers(1, 4),
    backoff=st.sampled_from([0.0, 0.001, 2.0]),
    race=races,
)
def test_no_more_attempts_than_asked_for_and_no_fewer(
    tasks: list[Behaviour],
    workers: int,
    chunk_size: int | None,
    retries: int,
    backoff: float,
    race: float,
) -> None:
    call = call_of(
        max_workers=workers, chunk_size=chunk_size, timeout=1.0, retries=retries, backoff=backoff
    )
    result = run(call, tasks, race=race)
    assert sorted(result.slots) == list(range(len(tasks)))
    assert result.backend.most_working <= workers
    for index, task in enumerate(tasks):
        value, attempts = result.slots[index], len(result.simulation.starts[index])
        if task.seconds > 1:
            assert isinstance(value, TaskTimeoutError)
            assert attempts == retries + 1
        elif task.fails and task.recovers > retries + 1:
            assert isinstance(value, ValueError)
            assert attempts == retries + 1
        else:
            assert value == index
            assert attempts == (task.recovers if task.fails else 1)


@given(failing=st.integers(1, 10), rate=st.sampled_from([None, 1000.0]))
def test_what_is_due_again_runs_in_order_and_before_anything_new(
    failing: int, rate: float | None
) -> None:
    """All retries come due while one worker is busy with a long item."""
    tasks = [Behaviour(0.001, fails=True, recovers=2)] * failing
    tasks += [Behaviour(1.0)] + [Behaviour(0.001)] * 10
    simulated = Simulation(tasks)
    limit = None if rate is None else RateLimit(rate, clock=simulated.clock)
    call = call_of(
        max_workers=1, chunk_size=1, retries=1, backoff=lambda attempt, error: 0.5, rate=limit
    )
    engine = Engine(
        call, ListSource(range(len(tasks))), SimBackend(simulated), clock=simulated.clock
    )
    assert values_of(engine) == len(tasks)
    again = [simulated.starts[item][1] for item in range(failing)]
    assert again == sorted(again)
    ready = 2  # so many may have been handed out before
    assert all(
        simulated.starts[item][0] > again[-1] for item in range(failing + ready + 1, len(tasks))
    )


@examples(1.5)
@given(
    tasks=st.lists(
        st.builds(Behaviour, st.sampled_from([0.0, 0.001, 0.3]), st.booleans(), st.just(2)),
        max_size=40,
    ),
    workers=st.integers(1, 6),
    rate=st.sampled_from([2.0, 10.0, 1000.0]),
    preparation=st.lists(st.sampled_from([0.0, 0.01, 0.7, 3.0]), min_size=1, max_size=4),
)
def test_starts_keep_to_the_rate_and_use_it(
    tasks: list[Behaviour], workers: int, rate: float, preparation: list[float]
) -> None:
    simulated = Simulation(tasks)
    backend = SimBackend(simulated, preparation=preparation)
    limit = RateLimit(rate, clock=simulated.clock)
    call = call_of(max_workers=workers, retries=1, backoff=0.0, rate=limit)
    engine = Engine(call, ListSource(range(len(tasks))), backend, clock=simulated.clock)
    assert values_of(engine) == len(tasks)
    starts = sorted(start for item in simulated.starts.values() for start in item)
    for first in range(len(starts)):
        for last in range(first, len(starts)):
            assert last - first + 1 <= (starts[last] - starts[first]) * rate + 2 + 1e-6
    # Neither do workers idle for longer than the rate demands.
    busy = sum(task.seconds * (1 + task.fails) for task in tasks)
    longest = max((task.seconds for task in tasks), default=0.0)
    slack = (len(starts) + 1) / rate + busy / workers + 2 * longest + 0.02
    slack += 1.2 * sum(preparation) * (workers + len(preparation)) / len(preparation)
    assert simulated.now <= slack + 0.02 * len(starts)


@given(tasks=st.lists(st.just(Behaviour(0.01)), min_size=1, max_size=30))
def test_cancel_is_seen_soon(tasks: list[Behaviour]) -> None:
    cancel = threading.Event()
    cancel.set()
    result = run(call_of(max_workers=2, cancel=cancel), tasks)
    assert all(isinstance(value, (int, TaskCancelledError)) for value in result.slots.values())
    assert result.simulation.now <= 0.06


@given(spawns=st.integers(1, 5), count=st.integers(0, 30))
def test_a_map_goes_on_with_the_workers_it_can_get(spawns: int, count: int) -> None:
    tasks = [Behaviour(0.01)] * count
    result = run(call_of(max_workers=8), tasks, max_spawns=spawns)
    check_everything_ran_once(result, tasks, math.inf)
    assert result.backend.most_working <= spawns


def test_a_map_that_gets_no_worker_raises() -> None:
    with pytest.raises(ParallelError, match="no more workers"):
        run(call_of(max_workers=8), [Behaviour(0.01)], max_spawns=0)


@given(tasks=behaviours, workers=st.integers(1, 6))
def test_the_first_failure_is_raised_if_asked_for(tasks: list[Behaviour], workers: int) -> None:
    call = call_of(max_workers=workers, timeout=10.0, on_error="raise")
    simulation = Simulation(tasks, 1e-7)
    backend = SimBackend(simulation)
    engine = Engine(call, ListSource(range(len(tasks))), backend, clock=simulation.clock)
    if any(task.fails or task.seconds == math.inf for task in tasks):
        ending = engine.run(lambda batch: None)
        with pytest.raises((ValueError, TaskTimeoutError)):
            raise_failure(ending)
        assert backend.closed is False
    else:
        collector = SlotCollector(len(tasks), Selection("raise"))
        assert engine.run(collector.add).kind == "completed"
        assert collector.results() == list(range(len(tasks)))


@given(
    workers=st.integers(1, 9),
    most=st.integers(1, 5),
    step=st.sampled_from([1e-7, 1e-3, 0.04, 0.2]),
)
def test_no_more_calls_get_stuck_than_workers_had_begun(
    workers: int, most: int, step: float
) -> None:
    """However late the engine is: each look at the clock may take longer than the timeout."""
    tasks = [Behaviour(math.inf)] * 40
    simulation = Simulation(tasks, step)
    call = call_of(max_workers=workers, timeout=0.05, max_abandoned=most)
    engine = Engine(
        call,
        ListSource(range(40)),
        SimBackend(simulation),
        poll_interval=None,
        clock=simulation.clock,
    )
    ending = engine.run(lambda batch: None)
    assert ending.stop is not None
    assert "max_abandoned" in ending.stop.reason
    assert len(simulation.starts) <= most + workers
