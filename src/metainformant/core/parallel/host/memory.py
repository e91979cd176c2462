"""The memory that is free, and the memory that a process uses."""

from __future__ import annotations

import os
import sys

from . import cgroups

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


# More than the 256 KiB that asyncio asks for at each read of a connection.
_LARGE_BYTES = 1 << 20


def keep_large_blocks() -> None:
    """Let the allocator keep blocks of up to 1 MiB for their next use.

    glibc gives larger blocks than 128 KiB back to the system each time, until one was freed: from
    then on it keeps those of that size and below (mallopt(3), M_MMAP_THRESHOLD). Other allocators
    do not mind.
    """
    bytes(_LARGE_BYTES)  # freed at once; its memory is never touched


def available_memory() -> int | None:
    """Return the bytes that may be allocated without swapping; None if that is unknown.

    On Linux the least of what the machine and the control groups have left; elsewhere the number
    that psutil has, if it is installed.
    """
    if sys.platform == "linux":
        return min(_left(cgroups.ROOT), default=None)
    try:
        import psutil  # type: ignore[import-untyped, unused-ignore]
    except ImportError:
        return None
    return int(psutil.virtual_memory().available)


def used_memory(pid: int) -> int:
    """Return the bytes of memory that a process has in use; 0 if it is gone.

    Raises:
        ImportError: outside Linux, if psutil is not installed.
    """
    if sys.platform == "linux":
        fields = cgroups.read(cgroups.ROOT, f"proc/{pid}/statm").split()
        return int(fields[1]) * os.sysconf("SC_PAGE_SIZE") if len(fields) > 1 else 0
    import psutil

    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


def _left(root: str) -> Iterator[int]:
    for line in cgroups.read(root, "proc/meminfo").splitlines():
        name, _, amount = line.partition(":")
        if name == "MemAvailable" and amount.endswith(" kB"):
            yield int(amount[:-3]) * 1024
    for is_v2, folder in cgroups.groups(root, "memory"):
        limit, used, cache = _V2 if is_v2 else _V1
        most = cgroups.read(root, folder, limit)
        if most.isdecimal():
            now = int(cgroups.read(root, folder, used) or 0)
            yield max(0, int(most) - now + _counter(root, folder, cache))


_V2 = ("memory.max", "memory.current", "inactive_file")
_V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


def _counter(root: str, folder: str, name: str) -> int:
    """Return the bytes of cached files, which count as used and are freed when needed."""
    for line in cgroups.read(root, folder, "memory.stat").splitlines():
        key, _, value = line.partition(" ")
        if key == name and value.isdecimal():
            return int(value)
    return 0
