"""What could make a run faster, by what was measured of it."""

from __future__ import annotations

import sys

from metainformant.core import parallel

# Shorter runs are not worth the advice.
_WORTH_SECONDS = 1.0
# The part of the time that one thread at a time was computing, from which on that was the limit.
# With code that releases the lock, all threads together compute for longer than the run takes.
_BOUND = (0.7, 1.15)


def is_bound_by_the_gil(cpu_seconds: float, seconds: float) -> bool:
    """Whether calls in threads were kept waiting by the lock that only one of them can hold.

    `cpu_seconds` is the processor time of the calls themselves.
    """
    has_gil = getattr(sys, "_is_gil_enabled", lambda: True)()
    if not has_gil or seconds < _WORTH_SECONDS or parallel.cpu_count() == 1:
        return False
    return _BOUND[0] < cpu_seconds / seconds < _BOUND[1]


def advice(cpu_seconds: float, seconds: float) -> str:
    return (
        f"hint: the calls computed for {cpu_seconds:.1f} s of {seconds:.1f} s, and threads take "
        f"turns at that; --backend process would use all {parallel.cpu_count()} processors"
    )
