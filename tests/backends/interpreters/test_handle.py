"""What the engine asks a worker that is an interpreter, and the answers, which may come late."""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Iterator

import pytest

from metainformant.core.parallel.backends.interpreters.pool import InterpreterHandle
from metainformant.core.parallel.backends.ipc.records import RecordWriter

STACK = (("script.py", 1, "task"),)
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="writes to a pipe by its number")


class Handle(InterpreterHandle):
    """A handle of a worker that never starts; the tests answer in its place."""

    def __init__(self) -> None:
        super().__init__("worker", {}, None)
        self.answers = RecordWriter(self._their_control, waits=True)

    def answer(self, ahead: int, stack: object) -> None:
        """Answer the question that comes after so many more."""
        self.answers.write(pickle.dumps((self._asked + ahead, stack)))


@pytest.fixture
def handle() -> Iterator[Handle]:
    handle = Handle()
    yield handle
    handle.kill()
    handle.close()
    handle.close_inner()


def test_an_answer_that_comes_too_late_is_none(handle: Handle) -> None:
    handle.answer(0, (("old.py", 2, "old"),))
    handle.answer(1, STACK)
    assert handle.stack(10) == STACK
    assert handle.stack(0) == ()


def test_nobody_waits_for_the_rest_of_an_answer(handle: Handle) -> None:
    """An interpreter that keeps its GIL may have sent one half of it."""
    number = handle._their_control.fileno()
    os.write(number, (10**6).to_bytes(8, sys.byteorder) + b"half")
    assert handle.stack(0.05) == ()
