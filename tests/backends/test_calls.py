"""Functions of several arguments, and constants, with every kind of workers."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from metainformant.core import parallel

from . import tasks
from .table import COPIES, PREPARE, SEND, Kind

PAIRS = [(number, 2 * number) for number in range(100)]


class TestStar:
    def test_an_item_is_the_arguments(self, kind: Kind) -> None:
        assert kind.run(tasks.weighted, PAIRS, 2, star=True) == [3 * x for x in range(100)]
        assert kind.run(tasks.weighted, [(1,), "ab", []], star=True)[:2] == [1, "ab"]
        stream = parallel.imap(kind.task(tasks.weighted), PAIRS, star=True, **kind.stream_options)
        assert list(stream) == [3 * x for x in range(100)]
        outcomes = parallel.outcomes(
            kind.task(tasks.weighted), PAIRS, star=True, **kind.stream_options
        )
        assert [outcome.item for outcome in outcomes] == PAIRS

    def test_a_wrong_item_costs_its_own_slot(self, kind: Kind) -> None:
        results = kind.run(tasks.weighted, [(1, 2), 3, (4, 5, 6)], star=True)
        assert results[0] == 3
        assert [type(error) for error in results[1:]] == [TypeError, TypeError]
        assert results[1].__notes__ == ["item 1 (3), attempt 1"]
        assert "but 3 were given" in str(results[2])


class TestKwargs:
    def test_each_call_gets_them(self, kind: Kind) -> None:
        assert kind.run(tasks.weighted, [1, 2], kwargs={"weight": 5, "y": 1}) == [10, 15]
        results = kind.run(tasks.weighted, PAIRS, 2, star=True, kwargs={"weight": 2})
        assert results == [6 * x for x in range(100)]
        assert kind.run(tasks.weighted, [7], kwargs={}) == [7]

    def test_batches_get_them(self, kind: Kind) -> None:
        with parallel.Pool(max_workers=2, **kind.stream_options) as pool:
            results = pool.batch(kind.task(tasks.sums), range(20), 3, kwargs={"plus": 1})
        assert results == list(range(1, 21))

    def test_the_state_of_the_worker_comes_last(self, kind: Kind, tmp_path: Path) -> None:
        kind.require(PREPARE)
        results = kind.run(
            tasks.weighted_with_state,
            [(1, 2), (3, 4)],
            star=True,
            kwargs={"weight": 2},
            worker_state=partial(tasks.State, str(tmp_path / "states")),
        )
        assert results == [(6, True), (14, True)]

    def test_what_is_large_is_sent_once_to_each_worker(self, kind: Kind, tmp_path: Path) -> None:
        kind.require(COPIES)
        kind.require(PREPARE)  # executors choose their workers themselves
        path = str(tmp_path / "reads")
        data = tasks.NotesReads(path, bytes(range(256)) * 1000)
        options: dict[str, Any] = {"kwargs": {"data": data}, "chunk_size": 1}
        assert kind.run(tasks.element, range(40), 2, **options) == list(range(40))
        assert len(tasks.notes(path)) <= 2
        with parallel.Pool(max_workers=1, **kind.stream_options) as pool:
            assert pool.map(kind.task(tasks.element), [1, 2], **options) == [1, 2]
            other = tasks.NotesReads(path, bytes(256 * 1000))
            assert pool.map(kind.task(tasks.element), [1, 2], kwargs={"data": other}) == [0, 0]

    def test_what_cannot_be_sent(self, kind: Kind) -> None:
        kind.require(SEND)
        with pytest.raises(parallel.ParallelError, match=r"func=.*weight=.*can't be pickled"):
            kind.run(tasks.weighted, [1], kwargs={"weight": tasks.NeverPickled()})
