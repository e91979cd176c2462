"""Items on their way from the reader to the engine: none is lost, doubled or out of order."""

from __future__ import annotations

import sys
import threading

from hypothesis import given
from hypothesis import strategies as st

from metainformant.core.parallel.engine.block_queue import BlockQueue


@given(
    blocks=st.lists(st.integers(0, 5), max_size=12),
    sizes=st.lists(st.integers(1, 7), min_size=1),
    order=st.lists(st.sampled_from("otf"), max_size=200),
)
def test_any_interleaving_takes_all_items_once(
    blocks: list[int], sizes: list[int], order: list[str]
) -> None:
    """The producer opens blocks and fills them item by item; the consumer takes in between."""
    queue = BlockQueue()
    read = taken = step = 0
    left = 0  # items that the current block still gets
    block: list[int] = []
    todo = list(blocks)

    def produce() -> bool:
        nonlocal read, left, block
        if left:
            block.append(read)
            read += 1
            left -= 1
        elif todo:
            block, left = queue.open_block(), todo.pop(0)
        else:
            return False
        return True

    def take() -> None:
        nonlocal taken, step
        chunk = queue.take(sizes[step % len(sizes)])
        step += 1
        if chunk is None:
            return
        assert chunk.items() == list(range(taken, taken + len(chunk.items())))
        assert chunk.start == taken
        taken = chunk.stop
        assert taken <= read

    for what in order:
        if what == "t":
            take()
        else:
            produce()
    while produce():
        pass
    queue.end()
    while not queue.is_ended:
        take()
    assert taken == queue.taken == sum(blocks)
    assert queue.take(sys.maxsize) is None


def test_a_producer_at_full_speed() -> None:
    queue = BlockQueue()
    count, size = 20_000, 37
    barrier = threading.Barrier(2)

    def produce() -> None:
        barrier.wait()
        for first in range(0, count, size):
            block = queue.open_block()
            for item in range(first, min(first + size, count)):
                block.append(item)
        queue.end()

    thread = threading.Thread(target=produce)
    thread.start()
    barrier.wait()
    found: list[int] = []
    while not queue.is_ended:
        chunk = queue.take(11)
        if chunk is not None:
            found += chunk.items()
    thread.join()
    assert found == list(range(count))
