"""All workloads, by chapter."""

from __future__ import annotations

from collections.abc import Sequence

from ..harness.workload import Entry, Group
from . import (
    checkpoints,
    clients,
    clusters,
    command_line,
    coroutines,
    failures,
    latency,
    processes,
    quick,
    reports,
    services,
    skew,
    sleeps,
    streams,
    timeouts,
    tiny,
)

GROUPS: list[Group] = [
    tiny.GROUP,
    sleeps.GROUP,
    skew.GROUP,
    failures.GROUP,
    timeouts.GROUP,
    latency.GROUP,
    streams.GROUP,
    streams.MEMORY,
    services.GROUP,
    coroutines.GROUP,
    clients.GROUP,
    processes.GROUP,
    checkpoints.GROUP,
    reports.GROUP,
    clusters.GROUP,
    command_line.GROUP,
]
QUICK = quick.WORKLOADS
ENTRIES: dict[str, Entry] = {
    entry.name: entry for entry in [*(e for group in GROUPS for e in group.entries), *QUICK]
}


def choose(words: Sequence[str]) -> list[Entry]:
    """The workloads of the groups, or with the names, that the words say; all without words."""
    known = {group.name for group in GROUPS} | set(ENTRIES)
    unknown = set(words) - known
    if unknown:
        raise ValueError(f"no workload or group is called {', '.join(sorted(unknown))}")
    return [
        entry
        for group in GROUPS
        for entry in group.entries
        if not words or group.name in words or entry.name in words
    ]
