"""What an agent and its seats do, without any cluster."""

from __future__ import annotations

import asyncio
import pickle
import threading
from collections.abc import Callable
from typing import Any

import pytest

from metainformant.core.parallel.backends.clusters.agent import Agent
from metainformant.core.parallel.backends.clusters.messages import (
    Finish,
    Finished,
    Hello,
    Permit,
    RunChunk,
    make_setup,
    pack_items,
)
from metainformant.core.parallel.backends.ipc.out_of_band import BufferedPickle
from metainformant.core.parallel.calls import Workers, make_call

LARGE = 2**20  # bytes, more than stay in a pickle


def outcomes(func: Callable[[Any], Any], items: list[Any]) -> list[Any]:
    """Let a seat run the items, all of which it is permitted to, and report at its end."""

    async def run() -> list[Any]:
        call = make_call("cluster_map", func, Workers("cluster", 1), {}, on_error="return")
        agent = Agent("worker", can_end=False)
        setup = make_setup(call, "", keep_times=False)
        hello: Hello = pickle.loads(agent.open(pickle.dumps(setup), 60.0))
        assert not hello.problem
        seat = threading.Thread(target=agent.run_seat, args=(1,))
        seat.start()
        assert await agent.poll(hello.token)  # it is open
        packed, count = pack_items(items, 2**30)
        commands = [RunChunk(1, 1, 0, 1, packed), Permit(1, 1, count)]
        agent.post(hello.token, BufferedPickle.of(commands))
        values: list[Any] = []
        while len(values) < len(items):
            for report in await agent.poll(hello.token) or ():
                match report.load():
                    case Finished(result=result):
                        values += result.opened().values
        agent.post(hello.token, BufferedPickle.of([Finish()]))
        while await agent.poll(hello.token) is not None:
            pass
        seat.join()
        return values

    return asyncio.run(run())


class Scratch:
    """A task that returns the same object each time, with another content."""

    def __init__(self, size: int) -> None:
        self.array = bytearray(size)

    def __call__(self, number: int) -> Any:
        self.array[:] = bytes([number]) * len(self.array)
        return pickle.PickleBuffer(self.array)


@pytest.mark.parametrize("size", [8, LARGE])
def test_a_result_is_what_it_was_when_its_task_returned_it(size: int) -> None:
    results = outcomes(Scratch(size), [1, 2, 3])
    assert [set(bytes(result)) for result in results] == [{1}, {2}, {3}]


def growing(number: int, seen: list[int] = []) -> list[int]:  # noqa: B006  # that is the point
    seen.append(number)
    return seen


def test_a_list_that_grows_is_as_long_as_it_was() -> None:
    assert [len(result) for result in outcomes(growing, [1, 2, 3])] == [1, 2, 3]


def test_a_result_that_cannot_be_pickled_is_the_failure_of_its_item() -> None:
    def task(number: int) -> Any:
        return threading.Lock() if number == 2 else number

    first, second, third = outcomes(task, [1, 2, 3])
    assert (first, third) == (1, 3)
    assert "the result 'lock' can't be pickled" in str(second)
