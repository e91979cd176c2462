"""The items that one thread consumes while another takes some back: nothing twice, nothing lost."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metainformant.core.parallel.backends.threads.items import (
    ClearedItems,
    CopiedItems,
    SharedItems,
    TruncatableItems,
)
from metainformant.core.parallel.host.gil import HAS_GIL

Make = Callable[[int], TruncatableItems]  # the items 0, 1, 2, ... and so many


def copied(count: int) -> TruncatableItems:
    return CopiedItems(list(range(count)))


def shared(count: int) -> TruncatableItems:
    return SharedItems(tuple(range(-3, count)), 3)


def cleared(count: int) -> TruncatableItems:
    return ClearedItems(list(range(count)))


kinds = pytest.mark.parametrize("make", [copied, shared, cleared])
# In real threads, only what is used on this build: the others rely on the GIL.
used = pytest.mark.parametrize("make", [copied, shared, cleared] if HAS_GIL else [cleared])


@kinds
@given(data=st.data(), count=st.integers(0, 20))
def test_any_interleaving_of_fetches_and_truncations(
    make: Make, data: st.DataObject, count: int
) -> None:
    """The boundary that the engine is given is right in every interleaving."""
    items = make(count)
    iterator = iter(items)
    fetched: list[int] = []
    out: list[int] = []
    mine = count  # the engine owns what is from here on
    for step in data.draw(st.lists(st.sampled_from(["fetch", "append", "truncate"]), max_size=60)):
        if step == "fetch" and len(fetched) == len(out):
            item = next(iterator, None)
            if item is not None:
                fetched.append(item)
        elif step == "append" and len(out) < len(fetched):
            out.append(fetched[-1])
        elif step == "truncate":
            mine = min(mine, items.truncate(data.draw(st.integers(0, count)), out))
        assert fetched == list(range(len(fetched)))
        assert len(fetched) <= mine
    fetched.extend(iterator)
    # Everything was either fetched or is the engine's, except perhaps for one uncertain item.
    assert len(fetched) in (mine, mine - 1)


@kinds
def test_truncating_at_the_end_changes_nothing(make: Make) -> None:
    items = make(5)
    assert items.truncate(5, []) == 5
    assert list(items) == [0, 1, 2, 3, 4]


def test_only_a_copy_can_be_truncated_in_the_middle() -> None:
    items = copied(5)
    assert items.truncate(3, []) == 3
    assert list(items) == [0, 1, 2]


@used
def test_truncations_against_a_running_consumer(make: Make) -> None:
    """Thousands of items at full speed: worker and engine never both own one."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for round_number in range(300):
            _race(make, round_number)
    finally:
        sys.setswitchinterval(interval)


def _race(make: Make, round_number: int) -> None:
    count = 2000
    items = make(count)
    out: list[int] = []
    barrier = threading.Barrier(2)

    def consume() -> None:
        append: Any = out.append
        barrier.wait(30)
        for item in items:
            append(item)

    thread = threading.Thread(target=consume)
    thread.start()
    barrier.wait(30)
    keep = 1 + (round_number * 7) % count
    while len(out) < keep // 2 and thread.is_alive():
        pass
    mine = min(count, items.truncate(keep, out))
    thread.join(30)
    assert out == list(range(len(out)))
    assert mine - 1 <= len(out) <= mine
