"""Results that are pickled before the next task is started."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import pytest

from metainformant.core.parallel.backends.ipc.items import SealedResult, with_sealed
from metainformant.core.parallel.backends.ipc.out_of_band import BufferedPickle, load
from metainformant.core.parallel.host.gil import HAS_GIL

numpy = pytest.importorskip("numpy")

SIZE = 2**20


class Tasks:
    """What a task may do with the array that it returns."""

    def __init__(self) -> None:
        self.kept: Any = None

    def fresh(self) -> Any:
        return numpy.ones(SIZE)

    def keeps_it(self) -> Any:
        self.kept = numpy.ones(SIZE)
        return self.kept

    def keeps_a_view(self) -> Any:
        array = numpy.ones(SIZE)
        self.kept = array[:10]
        return array

    def returns_a_view(self) -> Any:
        self.kept = numpy.ones(SIZE)
        return self.kept[:]

    def keeps_a_weak_reference(self) -> Any:
        array = numpy.ones(SIZE)
        self.kept = weakref.ref(array)
        return array

    def keeps_it_in_a_list(self) -> Any:
        array = numpy.ones(SIZE)
        self.kept = [array]
        return [array]

    def keeps_the_list(self) -> Any:
        self.kept = [numpy.ones(SIZE)]
        return self.kept

    def returns_a_list(self) -> Any:
        return [numpy.ones(SIZE)]


def seal(task: Callable[[], Any]) -> BufferedPickle:
    result = with_sealed(lambda _: task())(None)
    assert isinstance(result, SealedResult)
    assert isinstance(result.pickled, BufferedPickle)
    return result.pickled


@pytest.mark.skipif(not HAS_GIL, reason="counts of references may be too low there")
def test_an_array_that_nobody_else_can_reach_is_not_copied() -> None:
    pickled = seal(Tasks().fresh)
    assert type(pickled.buffers[0]) is memoryview
    assert load(pickled).sum() == SIZE


@pytest.mark.parametrize(
    "how",
    [
        "keeps_it",
        "keeps_a_view",
        "returns_a_view",
        "keeps_a_weak_reference",
        "keeps_it_in_a_list",
        "keeps_the_list",
        "returns_a_list",  # whoever else has it can't be told
    ],
)
def test_others_are_copied(how: str) -> None:
    tasks = Tasks()
    pickled = seal(getattr(tasks, how))
    assert type(pickled.buffers[0]) is bytearray
    assert load(pickled) is not tasks.kept
