"""Hints on how a run could be faster, from what was measured of it."""

from __future__ import annotations

import sys

from metainformant.core import parallel

# Shorter runs are not worth a hint.
_WORTH_SECONDS = 1.0
# The threads took turns if their calls computed for this part of the time: for nearly all of it,
# but not for longer than it lasted, as calls that release the lock can.
_ONE_AT_A_TIME = (0.7, 1.15)


def is_bound_by_the_gil(cpu_seconds: float, seconds: float) -> bool:
    """Return whether calls in threads waited for the lock that only one of them can hold.

    Args:
        cpu_seconds: the processor time of the calls themselves.
        seconds: how long the run took.
    """
    has_gil = getattr(sys, "_is_gil_enabled", lambda: True)()
    if not has_gil or seconds < _WORTH_SECONDS or parallel.cpu_count() == 1:
        return False
    return _ONE_AT_A_TIME[0] < cpu_seconds / seconds < _ONE_AT_A_TIME[1]


def use_processes(cpu_seconds: float, seconds: float) -> str:
    """Word the hint to use processes."""
    return (
        f"hint: the calls computed for {cpu_seconds:.1f} s of {seconds:.1f} s, and threads take "
        f"turns at that; --backend process would use all {parallel.cpu_count()} processors"
    )
