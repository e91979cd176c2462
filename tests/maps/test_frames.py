"""Data frames as items give their rows, and results become frames again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from metainformant.core import parallel

COLUMNS = {"name": ["a", "b", "c"], "sequence": ["ATG", "GGCC", "N"], "count": [1, 2, 3]}
ROWS = [dict(zip(COLUMNS, values, strict=True)) for values in zip(*COLUMNS.values(), strict=True)]


@pytest.fixture(params=["pandas", "polars"])
def library(request: pytest.FixtureRequest) -> Any:
    return pytest.importorskip(request.param)


def same(item: Any) -> Any:
    return item


def length(row: dict[str, Any]) -> int:
    return len(row["sequence"])


def joined(name: str, sequence: str, count: int) -> str:
    return f"{name}{sequence}{count}"


def gc(row: dict[str, Any]) -> float:
    sequence: str = row["sequence"]
    if "N" in sequence:
        raise ValueError("N")
    return (sequence.count("G") + sequence.count("C")) / len(sequence)


def summary(row: dict[str, Any]) -> dict[str, Any]:
    return {"name": row["name"], "gc": gc(row)}


MAPS: list[Callable[..., Any]] = [
    parallel.thread_map,
    parallel.process_map,
    parallel.imap,
    parallel.Pool().map,
    parallel.Pool().imap,
]


@pytest.mark.parametrize("run", MAPS, ids=lambda run: run.__qualname__)
def test_items_are_rows(run: Callable[..., Any], library: Any) -> None:
    frame = library.DataFrame(COLUMNS)
    rows = list(run(same, frame))
    assert rows == ROWS
    assert [type(row["count"]) for row in rows] == [int] * 3
    assert list(run(length, frame)) == [3, 4, 1]
    assert list(run(joined, frame, star=True)) == ["aATG1", "bGGCC2", "cN3"]
    assert list(run(same, frame["sequence"])) == COLUMNS["sequence"]
    assert list(run(same, frame[:0])) == []


def test_batches_are_of_rows(library: Any) -> None:
    frame = library.DataFrame(COLUMNS)
    assert parallel.parallel_batch(same, frame, 2) == ROWS


def test_progress_knows_how_many_there_are(library: Any) -> None:
    told: list[parallel.Progress] = []
    list(parallel.imap(same, library.DataFrame(COLUMNS), progress=told.append))
    assert told[-1].total == 3


def test_many_rows(library: Any) -> None:
    frame = library.DataFrame({"number": range(5000)})
    assert [row["number"] for row in parallel.imap(same, frame, on_error="raise")] == list(
        range(5000)
    )


def test_results_become_a_column() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(COLUMNS)
    frame["gc"] = parallel.thread_map(gc, frame, default=float("nan"))
    assert list(frame["gc"])[:2] == [1 / 3, 1.0]
    assert list(frame["gc"].isna()) == [False, False, True]
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame(COLUMNS)
    frame = frame.with_columns(polars.Series("gc", parallel.thread_map(gc, frame, default=None)))
    assert frame["gc"].to_list() == [1 / 3, 1.0, None]


def test_results_become_a_frame(library: Any) -> None:
    frame = library.DataFrame(COLUMNS)
    found = library.DataFrame(parallel.thread_map(summary, frame, on_error="skip"))
    assert list(found.columns) == ["name", "gc"]
    assert list(found["name"]) == ["a", "b"]


def test_two_columns_of_one_name() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame([[1, 2], [3, 4]], columns=["x", "x"])
    with pytest.raises(ValueError, match="thread_map: items is a data frame with two columns 'x'"):
        parallel.thread_map(same, frame)
    assert parallel.thread_map(lambda a, b: a + b, frame, star=True) == [3, 7]


def test_what_only_has_columns_is_iterated() -> None:
    class Sheet:
        columns = ("A", "B")

        def iter_rows(self, first: int) -> Any:
            pytest.fail("this is not a data frame")

        def __iter__(self) -> Any:
            return iter([1, 2])

    assert parallel.thread_map(same, Sheet()) == [1, 2]


def test_other_tables_are_refused_with_the_way_to_their_rows() -> None:
    polars = pytest.importorskip("polars")
    with pytest.raises(TypeError, match=r"items is a LazyFrame, .* pass items.collect\(\)"):
        parallel.thread_map(str, polars.DataFrame({"n": [1]}).lazy())
    pyarrow = pytest.importorskip("pyarrow")
    with pytest.raises(TypeError, match=r"items is a Table, .* pass items.to_pylist\(\)"):
        parallel.imap(str, pyarrow.table({"n": [1]}))
