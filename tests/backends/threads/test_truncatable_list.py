"""The list that one thread consumes while another cuts it: nothing twice, nothing lost."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metainformant.core.parallel.backends.threads.truncatable_list import IteratingList, PoppingList
from metainformant.core.parallel.host.gil import HAS_GIL

Tapes = type[IteratingList] | type[PoppingList]
both = pytest.mark.parametrize("tape_type", [IteratingList, PoppingList])


@both
@given(data=st.data(), count=st.integers(0, 20))
def test_any_interleaving_of_fetches_and_cuts(
    tape_type: Tapes, data: st.DataObject, count: int
) -> None:
    """The boundary that the watcher computes after a cut is right in every interleaving."""
    tape = tape_type(list(range(count)))
    iterator: Iterator[Any] = iter(tape)
    fetched: list[int] = []
    out: list[int] = []
    mine = count  # the watcher owns what is from here on
    for step in data.draw(st.lists(st.sampled_from(["fetch", "append", "cut"]), max_size=60)):
        if step == "fetch" and len(fetched) == len(out):
            item = next(iterator, None)
            if item is not None:
                fetched.append(item)
        elif step == "append" and len(out) < len(fetched):
            out.append(fetched[-1])
        elif step == "cut":
            keep = data.draw(st.integers(0, count))
            tape.truncate(keep)
            done = len(out)
            mine = min(mine, keep if done < keep else done + 1)
        assert fetched == list(range(len(fetched)))
        assert len(fetched) <= mine
    fetched.extend(iterator)
    # Everything was either fetched or is the watcher's, but perhaps for one uncertain item.
    assert len(fetched) in (mine, mine - 1)


@pytest.mark.parametrize(
    "tape_type",
    [
        pytest.param(
            IteratingList,
            marks=pytest.mark.skipif(
                not HAS_GIL, reason="a list may be cut beside its iterator only with the GIL"
            ),
        ),
        PoppingList,
    ],
)
def test_a_cut_against_a_running_consumer(tape_type: Tapes) -> None:
    """Thousands of cuts at full speed: consumer and watcher never both own an item."""
    for round_number in range(300):
        count = 2000
        tape = tape_type(list(range(count)))
        out: list[int] = []
        barrier = threading.Barrier(2)

        def consume(tape: Any = tape, out: list[int] = out, barrier: Any = barrier) -> None:
            barrier.wait(30)
            for item in tape:
                out.append(item)  # noqa: PERF402  # item by item is the point

        thread = threading.Thread(target=consume)
        thread.start()
        barrier.wait(30)
        keep = 1 + (round_number * 7) % count
        while len(out) < keep // 2 and thread.is_alive():
            pass
        tape.truncate(keep)
        done = len(out)
        mine = min(count, keep if done < keep else done + 1)
        thread.join(30)
        assert out == list(range(len(out)))
        assert mine - 1 <= len(out) <= mine
