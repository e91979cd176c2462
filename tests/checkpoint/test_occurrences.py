"""Which occurrence of its value each item is, however many there are."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metainformant.core.parallel.checkpoint import occurrences
from metainformant.core.parallel.checkpoint.occurrences import Occurrences, all_keys
from metainformant.core.parallel.checkpoint.seen import SeenMarks

marks = st.one_of(st.integers(-5, 5), st.text(max_size=1), st.binary(min_size=16, max_size=16))


@pytest.mark.parametrize("few", [0, 3, 1000])
@given(batches=st.lists(st.lists(marks, max_size=10), max_size=10))
def test_every_one_gets_a_key_of_its_own(few: int, batches: list[list[Any]]) -> None:
    """Whatever the number at which marks are no longer kept as they are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(occurrences, "_FEW", few)
        numbered = Occurrences()
        keys = [key for batch in batches for key in numbered.keys(batch)]
    everything = [mark for batch in batches for mark in batch]
    assert len(set(keys)) == len(keys)
    counts: Counter[Any] = Counter()
    for mark, key in zip(everything, keys, strict=True):
        number = counts[mark]
        counts[mark] += 1
        # In CPython, -1 and -2 have one hash, and so have 0 and "".
        is_mistaken = any(hash(other) == hash(mark) and other != mark for other in everything)
        assert key == (mark if number == 0 else (mark, number)) or is_mistaken
    assert list(all_keys(everything)[0]) == list(Occurrences().keys(everything))


def test_many_marks_take_few_bytes_each() -> None:
    count = 200_000
    seen = SeenMarks()
    assert len(seen.add(range(count))) == 0
    assert len(seen.add(f"item {number}" for number in range(count))) <= 1
    assert seen.add(range(0, count, 1000)) == list(range(count // 1000))
    tables = sum(table.itemsize * len(table) for table in seen._tables)
    assert tables <= 14 * 2 * count
