"""The number of CPUs that this process may use."""

from __future__ import annotations

import math
import os
import sys

from ..public import public
from .cgroups import ROOT, groups, read

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


@public
def cpu_count() -> int:
    """Return how many CPUs this process may use: at least 1, and never an exception.

    `PYTHON_CPU_COUNT` (or `-X cpu_count`), if set to a positive number, decides. Otherwise it is
    the smaller of the CPU affinity (`taskset`, Slurm) and the CPU quota of the control groups, v1
    or v2, that the process is in (Docker, Kubernetes), a fraction of a CPU rounded up. On
    platforms with none of these it is the number of CPUs of the machine, or 1 where that is
    unknown too.

    Costs a few file reads, about 0.1 ms; nothing is cached, since limits can change.

    >>> cpu_count() >= 1
    True
    """
    try:
        forced = _forced()
        if forced:
            return forced
        cpus = _affinity()
        quota = _quota(ROOT) if sys.platform == "linux" else None
        return max(1, min(cpus, math.ceil(quota)) if quota else cpus)
    except Exception:
        return 1


def _forced() -> int | None:
    """Return the number set by `-X cpu_count=N` or PYTHON_CPU_COUNT; None if none is valid."""
    for text in (sys._xoptions.get("cpu_count"), os.environ.get("PYTHON_CPU_COUNT")):
        if isinstance(text, str) and text.strip().isdecimal() and int(text) > 0:
            return int(text)
    return None


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        try:
            return len(os.sched_getaffinity(0))
        except OSError:  # some sandboxes forbid the call
            pass
    return os.cpu_count() or 1


def _quota(root: str) -> float | None:
    """Return the tightest quota over this process's control groups, in CPUs; None if unlimited."""
    limits = [limit for limit in _group_limits(root) if limit > 0]
    return min(limits, default=None)


def _group_limits(root: str) -> Iterator[float]:
    for is_v2, folder in groups(root, "cpu"):
        if is_v2:
            quota, _, period = read(root, folder, "cpu.max").partition(" ")
        else:
            quota = read(root, folder, "cpu.cfs_quota_us")
            period = read(root, folder, "cpu.cfs_period_us")
        yield _ratio(quota, period)


def _ratio(quota: str, period: str) -> float:
    """Return CPUs, or -1 for no limit (`max`, `-1`, or files that are not there)."""
    try:
        return int(quota) / int(period)
    except (ValueError, ZeroDivisionError):
        return -1.0
