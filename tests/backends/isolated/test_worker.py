"""A worker that is asked to end a call, at any moment."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from types import FrameType
from typing import Any

import pytest

from metainformant.core.parallel.backends.ipc.payload import Payload, PayloadBuilder
from metainformant.core.parallel.backends.ipc.shared_memory import Segment
from metainformant.core.parallel.backends.isolated import messages
from metainformant.core.parallel.backends.isolated.messages import Done, RunChunk
from metainformant.core.parallel.backends.isolated.result_buffer import SIZE, Header, ResultBuffer
from metainformant.core.parallel.backends.isolated.worker import Worker


class FakeChannel:
    """What a worker reads from and writes to."""

    def __init__(self) -> None:
        self.sent: list[Any] = []

    def open(self, payload: Payload) -> tuple[Payload, None]:
        return payload, None

    def send(self, message: tuple[Any, ...]) -> None:
        self.sent.append(message)


@pytest.fixture(scope="module")
def buffer() -> Iterator[ResultBuffer]:
    segment = Segment(SIZE)
    yield ResultBuffer(segment)
    segment.close()


def items_of(*items: Any) -> Any:
    builder = PayloadBuilder()
    builder.add(list(items))
    payload, _ = builder.pack()
    return payload


def traced(run: Callable[[], None], do: Callable[[], None], at: int) -> int:
    """Run, and call `do` at one step within the package; return how many there were."""
    steps = 0

    def trace(frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal steps
        if "metainformant" not in frame.f_code.co_filename or frame.f_code.co_name == "on_signal":
            return None
        frame.f_trace_opcodes = True
        if event in ("opcode", "line"):  # CPython 3.12 may tell of lines only
            steps += 1
            if steps == at:
                do()
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        run()
    finally:
        sys.settrace(before)
    return steps


def test_a_signal_ends_a_call_and_never_the_worker(buffer: ResultBuffer) -> None:
    """It may arrive before, in and after the job that was abandoned, at every step."""
    number, steps, ended = 1, 1, 0
    while number <= steps:
        channel: Any = FakeChannel()
        worker = Worker(channel, buffer)
        buffer.prepare(2)
        buffer.header[Header.END_JOB], buffer.header[Header.END_POSITION] = number, 0
        chunk = RunChunk(number, 0, 2, 0, None, False, False, False, False, items_of(1, 2))
        calls: list[int] = []
        on_signal, run = partial(worker.on_signal, 0, None), partial(worker._run, calls.append)
        steps = max(steps, traced(partial(run, chunk), on_signal, number))
        assert channel.sent == [(messages._TAGS[Done], number)]
        assert calls in ([], [1], [1, 2])
        ended += calls != [1, 2]
        number += 1
    assert 0 < ended < steps
