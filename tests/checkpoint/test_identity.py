"""The name of a run: whether two functions share their outcomes."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from metainformant.core import parallel
from metainformant.core.parallel.checkpoint.identity import run_name
from metainformant.core.parallel.runner.batches import PerBatch

HERE = __name__


def align(item: str, reference: Any, gap: int = 1) -> str:
    return item


@dataclass
class Scorer:
    """A function with a state that has a canonical form."""

    factor: int

    def __call__(self, item: int) -> int:
        return item * self.factor

    def score(self, item: int) -> int:
        return item * self.factor

    @classmethod
    def of_class(cls, item: int) -> int:
        return item


class Opaque:
    """One whose state nobody knows."""

    def __call__(self, item: int) -> int:
        return item

    def score(self, item: int) -> int:
        return item


def test_functions_have_their_qualified_name() -> None:
    assert run_name(align) == f"{HERE}.align"
    assert run_name(math.sqrt) == "math.sqrt"
    assert run_name(str.upper) == "builtins.str.upper"
    assert run_name(Scorer.of_class) == f"{HERE}.Scorer.of_class"
    assert run_name(Scorer) == f"{HERE}.Scorer"
    assert run_name(functools.lru_cache(align)) == f"{HERE}.align"
    assert run_name(PerBatch(align, strict=False)) == f"{HERE}.align"


def test_what_a_partial_has_bound_is_part_of_it() -> None:
    bound = functools.partial(functools.partial(align, reference="hg38"), gap=2)
    assert run_name(bound) == f"{HERE}.align(gap=2, reference='hg38')"
    names = {
        run_name(functools.partial(align, reference=reference))
        for reference in ("a", "b", 1, True, 1.0, b"a", ("a",), ["a"], "a" * 100, "a" * 101)
    }
    assert len(names) == 10
    assert all(len(name) < 150 for name in names)
    assert run_name(PerBatch(bound, strict=True)) == run_name(bound)
    assert run_name(functools.partial(map, align)) == f"builtins.map({HERE}.align)"
    path = functools.partial(align, reference=Path("hg38.fa"))
    assert run_name(path).endswith("Path('hg38.fa'))")


def test_what_a_method_or_an_object_has_is_part_of_it() -> None:
    assert run_name(Scorer(2)) == run_name(Scorer(2)) != run_name(Scorer(3))
    assert run_name(Scorer(2).score) == run_name(Scorer(2).score) != run_name(Scorer(3).score)
    assert run_name({1: 2}.get) == run_name({1: 2}.get) != run_name({1: 3}.get)


@pytest.mark.parametrize(
    "func",
    [
        lambda item: item,
        functools.partial(lambda factor, item: item, 2),
        functools.partial(align, reference=object()),
        functools.partial(align, reference=lambda item: item),
        Opaque(),
        Opaque().score,
    ],
)
def test_what_cannot_be_told_apart_needs_a_name(func: Any) -> None:
    with pytest.raises(
        ValueError, match=r"checkpoint: func=.*Pass Checkpoint\(path, name=\.\.\.\)"
    ):
        run_name(func)


def test_kwargs_are_part_of_it_as_if_they_were_bound(tmp_path: Path) -> None:
    calls: list[int] = []

    def scaled(left: int, right: int = 0, *, factor: int) -> int:
        calls.append(left)
        return (left + right) * factor

    def run(func: Callable[..., int], items: Any, **more: Any) -> list[Any]:
        calls.clear()
        return parallel.thread_map(func, items, checkpoint=tmp_path / "checkpoint", **more)

    assert run(scaled, [1, 2], kwargs={"factor": 2}) == [2, 4]
    assert calls == [1, 2]
    assert run(functools.partial(scaled, factor=2), [1, 2]) == [2, 4]
    assert calls == []
    assert run(scaled, [1, 2], kwargs={"factor": 3}) == [3, 6]
    assert calls == [1, 2]
    assert run(scaled, [(1, 2)], star=True, kwargs={"factor": 3}) == [9]
    assert calls == [1]
    assert run(scaled, [(1, 2)], star=True, kwargs={"factor": 3}) == [9]
    assert calls == []


def test_a_seed_is_part_of_it(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"

    def number(item: int) -> float:
        task = parallel.current_task()
        assert task is not None
        return task.random.random()

    one = parallel.thread_map(number, [1, 2], seed=1, checkpoint=path)
    two = parallel.thread_map(number, [1, 2], seed=2, checkpoint=path)
    assert not set(one) & set(two)
    # What is left of a run gets the numbers that it would have had.
    whole = parallel.thread_map(number, [1, 2, 3], seed=1)
    assert whole[:2] == one
    assert parallel.thread_map(number, [1, 2, 3], seed=1, checkpoint=path) == whole
