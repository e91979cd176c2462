"""`initializer` and `worker_state`: once per worker, and cleaned up, whatever happens."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from metainformant.core import parallel


class State:
    """Counts who made it and who closed it."""

    made: list[State]

    def __init__(self) -> None:
        self.thread = threading.current_thread()
        self.closed = threading.Event()
        self.made.append(self)

    def close(self) -> None:
        assert threading.current_thread() is self.thread
        assert not self.closed.is_set()
        self.closed.set()


@pytest.fixture
def factory() -> type[State]:
    class Fresh(State):
        made: list[State] = []  # noqa: RUF012

    return Fresh


RUN: dict[str, Any] = {
    "list": parallel.thread_map,
    "stream": lambda func, items, **options: list(parallel.imap(func, items, **options)),
}


def together(workers: int) -> threading.Barrier:
    return threading.Barrier(workers, timeout=30)


@pytest.mark.parametrize("how", ["list", "stream"])
def test_each_worker_has_a_state_of_its_own(factory: type[State], how: str) -> None:
    meet = together(3)

    def task(item: int, state: State) -> int:
        assert state.thread is threading.current_thread()
        if item < 3:
            meet.wait()
        return item

    results = RUN[how](task, range(30), max_workers=3, worker_state=factory)
    assert results == list(range(30))
    assert len(factory.made) == 3
    assert all(state.closed.wait(30) for state in factory.made)


def test_a_state_is_closed_when_a_stuck_call_comes_back(factory: type[State]) -> None:
    release = threading.Event()

    def task(item: int, state: State) -> int:
        if item == 0:
            release.wait(60)
        assert not state.closed.is_set()
        return item

    results = parallel.thread_map(task, range(4), 1, timeout=0.3, worker_state=factory)
    assert isinstance(results[0], parallel.TaskTimeoutError)
    assert results[1:] == [1, 2, 3]
    first, second = factory.made
    assert second.closed.is_set()
    assert not first.closed.is_set()
    release.set()
    assert first.closed.wait(30)


def test_a_context_manager_is_entered_and_left() -> None:
    events: list[str] = []

    class Manager:
        def __enter__(self) -> str:
            events.append("enter")
            return "resource"

        def __exit__(self, *_: object) -> None:
            events.append("exit")

    results = parallel.thread_map(lambda item, state: state, range(3), 1, worker_state=Manager)
    assert results == ["resource"] * 3
    assert events == ["enter", "exit"]


def test_batches_get_the_state_too() -> None:
    results = parallel.parallel_batch(
        lambda batch, state: [item * state for item in batch],
        range(5),
        batch_size=2,
        worker_state=lambda: 10,
    )
    assert results == [0, 10, 20, 30, 40]


def test_the_initializer_comes_first_and_once_per_worker() -> None:
    here = threading.local()
    calls: list[tuple[Any, ...]] = []

    def initializer(*arguments: Any) -> None:
        calls.append(arguments)
        here.ready = True

    meet = together(2)

    def task(item: int) -> bool:
        if item < 2:
            meet.wait()
        return bool(here.ready)

    results = parallel.thread_map(task, range(20), 2, initializer=initializer, initargs=[1, "b"])
    assert results == [True] * 20
    assert calls == [(1, "b"), (1, "b")]


@pytest.mark.parametrize("what", ["initializer", "worker_state"])
def test_a_worker_that_cannot_be_prepared_stops_a_stream_with_the_cause(what: str) -> None:
    def fails() -> None:
        raise FileNotFoundError("no index")

    options: dict[str, Any] = {what: fails}
    message = rf"{what}.*FileNotFoundError: no index"
    with pytest.raises(parallel.ParallelError, match=message) as info:
        list(parallel.imap(abs, range(3), **options))
    assert isinstance(info.value.__cause__, FileNotFoundError)


@pytest.mark.parametrize("what", ["initializer", "worker_state"])
@pytest.mark.parametrize("how", ["list", "stream"])
@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_an_exit_while_a_worker_is_prepared_stays_one(
    what: str, how: str, kind: type[BaseException]
) -> None:
    def leaves() -> None:
        raise kind(3)

    options: dict[str, Any] = {what: leaves}
    with pytest.raises(kind) as info:
        RUN[how](abs, range(3), **options)
    assert info.value.args == (3,)


@pytest.mark.parametrize("how", ["list", "stream"])
@pytest.mark.parametrize("limit", ["deadline", "cancel"])
def test_a_state_that_does_not_close_keeps_nobody_longer_than_the_map_may_take(
    how: str, limit: str
) -> None:
    cancel, release = threading.Event(), threading.Event()

    class Stuck:
        def close(self) -> None:
            if limit == "cancel":
                cancel.set()
            release.wait(60)

    options: dict[str, Any] = {"deadline": 1.5} if limit == "deadline" else {"cancel": cancel}
    # With more workers, the first one to end would cancel what others have not begun.
    results = RUN[how](lambda i, _: i, range(3), max_workers=1, worker_state=Stuck, **options)
    assert not release.is_set()
    assert results == [0, 1, 2]
    release.set()


@pytest.mark.parametrize("limit", ["deadline", "cancel"])
def test_an_initializer_that_does_not_end_keeps_nobody_either(limit: str) -> None:
    cancel, release = threading.Event(), threading.Event()

    def stuck() -> None:
        cancel.set()
        release.wait(60)

    options: dict[str, Any] = {"deadline": 0.1} if limit == "deadline" else {"cancel": cancel}
    results = parallel.thread_map(abs, range(3), initializer=stuck, **options)
    assert not release.is_set()
    assert {type(result) for result in results} == {parallel.TaskCancelledError}
    release.set()
