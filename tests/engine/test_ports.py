"""What the engine does for backends that are far away: with the real engine and real threads."""

from __future__ import annotations

import threading
from typing import Any

from metainformant.core.parallel.backends.threads.backend import ThreadBackend
from metainformant.core.parallel.backends.threads.job import ThreadJob
from metainformant.core.parallel.calls import Workers, make_call
from metainformant.core.parallel.engine.loop import Engine
from metainformant.core.parallel.engine.source import Chunk, ListSource


class Late(ThreadBackend):
    """Threads of which there are none at first."""

    capacity: int | None = 0
    waits = 0

    def wait(self, timeout: float | None) -> list[ThreadJob]:
        self.waits += 1
        if self.waits == 3:
            self.capacity = 1
        return super().wait(0 if self.waits <= 3 else timeout)


def _run(func: Any, backend_class: type[ThreadBackend], **options: Any) -> tuple[Engine, Any]:
    call = make_call("test", func, Workers("thread", 1), options)
    backend = backend_class(call, eager=True)
    return Engine(call, ListSource(range(10)), backend), backend


def test_nothing_is_handed_out_before_there_is_a_worker() -> None:
    started: list[int] = []
    waits: list[Any] = []

    def start(_: int) -> None:
        started.append(waits[0].waits)

    engine, backend = _run(start, Late)
    waits.append(backend)
    ending = engine.run(lambda batch: None)
    assert ending.kind == "completed"
    assert len(started) == 10
    assert min(started) >= 3


def test_what_is_not_started_is_given_back_when_it_is_recalled() -> None:
    runs, go_on = threading.Event(), threading.Event()

    def wait(number: int) -> int:
        runs.set()
        go_on.wait(30)
        return number

    engine, _ = _run(wait, ThreadBackend, chunk_size=10)
    given: list[Chunk] = []

    def give_back(chunks: list[Chunk]) -> None:
        given.extend(chunks)
        go_on.set()

    def recall() -> None:
        runs.wait(30)
        engine.recall(give_back)

    thread = threading.Thread(target=recall)
    thread.start()
    values: list[Any] = []
    ending = engine.run(lambda batch: values.extend(batch.values))
    thread.join()
    assert ending.kind == "completed"
    returned = [item for chunk in given for item in chunk.items()]
    assert sorted([*values, *returned]) == list(range(10))
    assert values == [0]
