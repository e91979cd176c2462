"""Random numbers that depend on the seed and the index only, with every kind of workers."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from metainformant.core import parallel

from . import tasks
from .table import NUMPY, Kind

COUNT = 40
GENERATORS = [random.Random(f"7 {index}") for index in range(COUNT)]
EXPECTED = [[generator.random(), generator.random()] for generator in GENERATORS]


@pytest.mark.parametrize("options", [{}, {"chunk_size": 1}, {"chunk_size": COUNT}, {"timeout": 60}])
def test_the_numbers_are_always_the_same(kind: Kind, options: dict[str, Any]) -> None:
    for max_workers in (1, 3):
        results = kind.run(tasks.two_numbers, range(COUNT), max_workers, seed=7, **options)
        assert results == EXPECTED


def test_streams_have_them_too(kind: Kind) -> None:
    results = parallel.imap(
        kind.task(tasks.two_numbers), range(COUNT), seed=7, **kind.stream_options
    )
    assert list(results) == EXPECTED


def test_each_attempt_begins_anew(kind: Kind, tmp_path: Path) -> None:
    paths = [str(tmp_path / name) for name in "abc"]
    results = kind.run(tasks.numbers_at_third, paths, retries=2, backoff=0, seed=7)
    assert results == EXPECTED[:3]


def test_they_are_those_of_numpys_seed_sequence(kind: Kind) -> None:
    kind.require(NUMPY)
    numpy = pytest.importorskip("numpy")
    children = numpy.random.SeedSequence(2**100).spawn(5)
    expected = [numpy.random.default_rng(child).random() for child in children]
    assert kind.run(tasks.number_of_numpy, range(5), 2, seed=2**100) == expected


def test_without_a_seed_that_is_told(kind: Kind) -> None:
    kind.run(tasks.two_numbers, [1], seed=7)
    (error,) = kind.run(tasks.two_numbers, [1])
    assert isinstance(error, parallel.ParallelError)
    assert str(error) == (
        "current_task().random needs a seed: pass seed=1, or any whole number, to the map"
    )


def test_maps_within_have_no_seed_of_the_outer_one(kind: Kind) -> None:
    ((error,),) = kind.run(tasks.nested_numbers, [1], seed=7)
    assert "needs a seed" in str(error)
