"""How much memory is free for this process."""

from __future__ import annotations

import sys

from . import cgroups

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


def available_memory() -> int | None:
    """Bytes that may be allocated without swapping; None if that is unknown.

    On Linux the least of what the machine and the control groups have left; elsewhere what psutil
    says, if it is installed.
    """
    if sys.platform == "linux":
        return min(_left(cgroups.ROOT), default=None)
    try:
        import psutil  # type: ignore[import-untyped, unused-ignore]
    except ImportError:
        return None
    return int(psutil.virtual_memory().available)


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
    """Bytes of cached files, which count as used and are given back when needed."""
    for line in cgroups.read(root, folder, "memory.stat").splitlines():
        key, _, value = line.partition(" ")
        if key == name and value.isdecimal():
            return int(value)
    return 0
