"""How many CPUs this process may use."""

from __future__ import annotations

import math
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_ROOT = "/"  # of the file system


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
        quota = _quota(_ROOT) if sys.platform == "linux" else None
        return max(1, min(cpus, math.ceil(quota)) if quota else cpus)
    except Exception:
        return 1


def _forced() -> int | None:
    """What the user has set, by `-X cpu_count=N` or by PYTHON_CPU_COUNT; None if nothing valid."""
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
    """The tightest CPU quota over this process's control groups, in CPUs; None if unlimited."""
    limits = [limit for limit in _group_limits(root) if limit > 0]
    return min(limits, default=None)


def _group_limits(root: str) -> Iterator[float]:
    # A line is `hierarchy:controllers:path`; version 2 has the hierarchy 0 and no controllers.
    for line in _read(root, "proc/self/cgroup").splitlines():
        hierarchy, controllers, path = (*line.split(":", 2), "", "")[:3]
        if hierarchy == "0" and not controllers:
            for group in _with_parents("sys/fs/cgroup", path):
                quota, _, period = _read(root, group, "cpu.max").partition(" ")
                yield _ratio(quota, period)
        elif "cpu" in controllers.split(","):
            for mount in ("sys/fs/cgroup/cpu", "sys/fs/cgroup/cpu,cpuacct"):
                for group in _with_parents(mount, path):
                    yield _ratio(
                        _read(root, group, "cpu.cfs_quota_us"),
                        _read(root, group, "cpu.cfs_period_us"),
                    )


def _with_parents(mount: str, path: str) -> Iterator[str]:
    """The group's folder and those above it: a parent's limit holds for all its children.

    Inside a container the path may not exist below the mount; the mount itself then is the group.
    """
    parts = [part for part in path.split("/") if part and part != ".."]
    for end in range(len(parts), -1, -1):
        yield "/".join([mount, *parts[:end]])


def _ratio(quota: str, period: str) -> float:
    """CPUs, or -1 for no limit (`max`, `-1`, or files that are not there)."""
    try:
        return int(quota) / int(period)
    except (ValueError, ZeroDivisionError):
        return -1.0


def _read(root: str, *path: str) -> str:
    try:
        with open(os.path.join(root, *path), encoding="ascii", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""
