"""The progress of a map."""

from __future__ import annotations

from typing import NamedTuple

from .public import public


@public
class Progress(NamedTuple):
    """The progress of a map at one moment. Numbers count items, unless it says otherwise.

    Attributes:
        done: finished, whether they failed or not.
        ok: finished, without those that the engine has seen fail.
        failed: failed for good, those that timed out included.
        timed_out: of these, the ones that took longer than `timeout`.
        retried: retries so far.
        running: chunks that workers are running now.
        total: all items; None if their number is not known.
        elapsed: seconds since the call, or since the first result of a stream was asked for.
        throttled: attempts that services have refused so far, which are neither failures nor
            retries.
        rate: items per second, of the last half minute.
        eta: seconds that the rest takes at that rate; None if that can't be told.
        pause: seconds for which nothing is started yet, since a service has asked for that.

    >>> from metainformant.core import parallel
    >>> seen = []
    >>> _ = parallel.thread_map(int, ["1", "two", "3"], progress=seen.append)
    >>> seen[-1].done, seen[-1].ok, seen[-1].failed, seen[-1].total
    (3, 2, 1, 3)
    """

    done: int
    ok: int
    failed: int
    timed_out: int
    retried: int
    running: int
    total: int | None
    elapsed: float
    throttled: int = 0
    rate: float = 0.0
    eta: float | None = None
    pause: float = 0.0
