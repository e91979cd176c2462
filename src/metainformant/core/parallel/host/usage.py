"""What this process has used of the machine so far."""

from __future__ import annotations

import sys
from time import process_time, thread_time
from typing import NamedTuple

from . import cgroups


class Usage(NamedTuple):
    """The resources that a process, or a thread, has used; or the difference of two of these.

    Attributes:
        cpu_seconds: processor time.
        delayed: seconds for which its main thread was ready and had no processor; None if unknown.
        peak_memory: the most bytes in use at one time; 0 if unknown.
        main_seconds: the processor time of its main thread alone; None if unknown.
    """

    cpu_seconds: float
    delayed: float | None = None
    peak_memory: int = 0
    main_seconds: float | None = None

    def since(self, earlier: Usage) -> Usage:
        """Return what was used since then; the memory stays what it is now."""
        delayed = None
        if self.delayed is not None and earlier.delayed is not None:
            delayed = self.delayed - earlier.delayed
        cpu_seconds = self.cpu_seconds - earlier.cpu_seconds
        main_seconds = None
        if self.main_seconds is not None and earlier.main_seconds is not None:
            main_seconds = self.main_seconds - earlier.main_seconds
        return Usage(cpu_seconds, delayed, self.peak_memory, main_seconds)


def usage_of_process() -> Usage:
    """Return what this process has used. It takes some 20 us, in its main thread."""
    return Usage(process_time(), _delayed(), _peak_memory(), thread_time())


def _delayed() -> float | None:
    fields = cgroups.read(cgroups.ROOT, "proc/self/schedstat").split()
    return int(fields[1]) / 1e9 if len(fields) > 1 and fields[1].isdecimal() else None


def _peak_memory() -> int:
    try:
        import resource
    except ImportError:  # on Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def throttled_seconds(root: str = cgroups.ROOT) -> float:
    """Return for how many seconds control groups have stopped this process, for its quota."""
    most = 0.0
    for is_v2, folder in cgroups.groups(root, "cpu"):
        name, unit = ("throttled_usec", 1e6) if is_v2 else ("throttled_time", 1e9)
        for line in cgroups.read(root, folder, "cpu.stat").splitlines():
            key, _, value = line.partition(" ")
            if key == name and value.isdecimal():
                most = max(most, int(value) / unit)
    return most


def pressure_seconds(root: str = cgroups.ROOT) -> float | None:
    """Return for how many seconds something on this machine has waited for a processor.

    None where the kernel does not tell ("pressure stall information").
    """
    for line in cgroups.read(root, "proc/pressure/cpu").splitlines():
        kind, *fields = line.split()
        for field in fields:
            name, _, value = field.partition("=")
            if kind == "some" and name == "total" and value.isdecimal():
                return int(value) / 1e6
    return None


def involuntary_switches() -> int | None:
    """Return how often a processor was taken from this process; None where that is unknown."""
    try:
        import resource
    except ImportError:  # on Windows
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw
