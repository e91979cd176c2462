"""Putting the batches of a list map together."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from metainformant.core.parallel.engine.outcome_batch import OutcomeBatch
from metainformant.core.parallel.engine.source import Chunk
from metainformant.core.parallel.runner.delivery import Selection, SlotCollector


@given(data=st.data(), sizes=st.lists(st.integers(1, 6), max_size=12), may_keep=st.booleans())
def test_slots_in_any_order_of_batches(
    data: st.DataObject, sizes: list[int], may_keep: bool
) -> None:
    starts = [sum(sizes[:at]) for at in range(len(sizes))]
    total = sum(sizes)
    items = list(range(total))
    order = data.draw(st.permutations(range(len(sizes))))
    come = order[: data.draw(st.integers(0, len(sizes)))]
    collector = SlotCollector(total, Selection(), may_keep=may_keep)
    expected: dict[int, object] = {}
    batches: list[OutcomeBatch] = []
    for at in come:
        start, stop = starts[at], starts[at] + sizes[at]
        chunk = Chunk(items, 0, start, stop)
        batch = OutcomeBatch(chunk, start, items[start:stop], {})
        collector.add(batch)
        batches.append(batch)
        expected.update({index: index for index in range(start, stop)})
    missing = [index for index in range(total) if index not in expected]
    filled: list[int] = []

    def failure(index: int) -> BaseException:
        filled.append(index)
        return KeyError(index)

    collector.fill(failure)
    assert filled == missing
    results = collector.results()
    assert len(results) == total
    if not may_keep:  # nothing was changed that others use
        assert [batch.values for batch in batches] == [
            items[batch.chunk.start : batch.chunk.stop] for batch in batches
        ]
    for index, value in enumerate(results):
        assert value == expected[index] if index in expected else value.args == (index,)
