"""How far a map is."""

from __future__ import annotations

from typing import NamedTuple


class Progress(NamedTuple):
    """How far a map is. All numbers but the last two are of items.

    Attributes:
        done: finished, well or not.
        ok: finished well, as far as the map has looked.
        failed: failed for good, those that timed out included.
        timed_out: of these, the ones that took longer than `timeout`.
        retried: how many retries there were.
        running: how many chunks of items workers have in hand now.
        total: how many there are; None if that is not known.
        elapsed: seconds since the call, or since the first result of a stream was asked for.
    """

    done: int
    ok: int
    failed: int
    timed_out: int
    retried: int
    running: int
    total: int | None
    elapsed: float
