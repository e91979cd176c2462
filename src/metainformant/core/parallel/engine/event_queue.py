"""Waiting for what other threads tell the engine's thread."""

from __future__ import annotations

import queue

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TypeVar

    T = TypeVar("T")

# No wait of the engine is longer, in seconds: Ctrl-C may have to get through between two of them.
# On Windows a wait for a lock can't be interrupted, and elsewhere a signal that comes just before
# the wait does not end it.
_MAX_WAIT_SECONDS = 0.1


def taken(events: queue.SimpleQueue[T], timeout: float | None) -> Iterator[T]:
    """Yield all that is in a queue; if it is empty, wait for something for a moment first.

    Args:
        events: what any thread adds to.
        timeout: seconds to wait; None for as long as the engine may wait at one time.
    """
    longest = _MAX_WAIT_SECONDS if timeout is None else min(_MAX_WAIT_SECONDS, timeout)
    try:
        while True:
            # The queues that eventlet puts in the place of those of Python take no time of 0.
            yield events.get(longest > 0, longest or None)
            longest = 0
    except queue.Empty:
        return
