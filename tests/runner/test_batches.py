"""Maps of whole batches."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from metainformant.core import parallel


class TestBatch:
    def test_batches_are_lists_and_results_are_flattened(self) -> None:
        sizes = []

        def task(batch: list[int]) -> list[int]:
            assert type(batch) is list
            sizes.append(len(batch))
            return [2 * number for number in batch]

        results = parallel.parallel_batch(task, iter(range(25)), batch_size=10)
        assert results == [2 * number for number in range(25)]
        assert sorted(sizes) == [5, 10, 10]

    def test_a_failed_batch_stands_for_each_of_its_items(self) -> None:
        def task(batch: list[int]) -> list[int]:
            if 3 in batch:
                raise ValueError("three")
            return batch

        results = parallel.parallel_batch(task, range(6), batch_size=2)
        assert results[:2] == [0, 1]
        assert results[4:] == [4, 5]
        assert isinstance(results[2], ValueError)
        assert results[2] is results[3]
        assert results[2].__notes__ == ["item 1 (batch of items 2 to 3), attempt 1"]
        assert parallel.parallel_batch(task, range(6), 2, on_error="skip") == [0, 1, 4, 5]
        with pytest.raises(ValueError, match="three"):
            parallel.parallel_batch(task, range(6), 2, on_error="raise")

    def test_results_may_be_more_or_fewer_than_items(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert parallel.parallel_batch(lambda batch: [sum(batch)], range(4), 2) == [1, 5]
        assert parallel.parallel_batch(lambda _: [], range(4), 2) == []
        told = [record.getMessage() for record in caplog.records]
        assert len(told) == 2  # one for each map
        assert "func returned 1 results for the 2 items of the batch of items 0 to 1" in told[0]
        assert "strict=True" in told[0]

    def test_the_first_odd_batch_is_named_and_even_ones_are_not(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        def task(batch: list[int]) -> list[int]:
            return [*batch, 99] if batch[0] in (2, 4) else batch

        assert parallel.parallel_batch(task, range(6), 2) == [0, 1, 2, 3, 99, 4, 5, 99]
        (record,) = caplog.records
        assert "3 results for the 2 items of the batch of items 2 to 3" in record.getMessage()
        caplog.clear()
        assert parallel.parallel_batch(list, range(5), 2) == list(range(5))
        assert not caplog.records

    @pytest.mark.parametrize("kind", ["thread", "process"])
    def test_strict_makes_it_a_failure_of_the_batch(self, kind: Any) -> None:
        with parallel.Pool(backend=kind, max_workers=1) as pool:
            results = pool.batch(set, [1, 1, 2, 3, 4], batch_size=2, strict=True)
        assert [type(result) for result in results] == [ValueError, ValueError, int, int, int]
        assert results[0] is results[1]
        assert "func returned 1 results for the 2 items of its batch" in str(results[0])
        with pytest.raises(TypeError, match="strict=1 must be True or False"):
            parallel.parallel_batch(list, range(3), strict=1)  # type: ignore[call-overload]

    def test_a_table_is_refused_since_it_iterates_over_its_columns(self) -> None:
        class Table:
            columns = ("a", "b")

            def __iter__(self) -> Iterator[str]:
                return iter(self.columns)

        results = parallel.parallel_batch(lambda _: Table(), range(2), 2)
        assert [type(result) for result in results] == [TypeError, TypeError]
        assert "to_dict('records')" in str(results[0])

    def test_a_generator_that_fails_fails_its_batch(self) -> None:
        def task(batch: list[int]) -> Iterator[int]:
            yield 1
            raise ValueError("late")

        results = parallel.parallel_batch(task, range(2), 2)
        assert [type(result) for result in results] == [ValueError, ValueError]

    @pytest.mark.parametrize("wrong", [None, "text", b"bytes", {"a": 1}, 7])
    def test_a_result_that_is_no_list_is_a_clear_failure(self, wrong: Any) -> None:
        results = parallel.parallel_batch(lambda _: wrong, range(3), 2)
        assert len(results) == 3
        assert all(isinstance(result, TypeError) for result in results)
        assert "must return a list" in str(results[0])

    def test_common_options(self) -> None:
        hang = threading.Event()

        def task(batch: list[int]) -> list[int]:
            if 0 in batch:
                hang.wait(30)
            return batch

        try:
            results = parallel.parallel_batch(task, range(4), 2, timeout=0.3, ordered=False)
        finally:
            hang.set()
        assert results[:2] == [2, 3]
        assert isinstance(results[2], parallel.TaskTimeoutError)
        assert "batch of items 0 to 1" in str(results[2])
