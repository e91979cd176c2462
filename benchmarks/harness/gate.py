"""Has it become slower? Ratios to peers of the same run, against the ratios on record.

Times depend on the machine and the minute; the ratio to a peer that took turns in the same process
does so much less. A workload that looks worse is measured again before that counts.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from .results import Result
from .runner import run_apart
from .workload import Workload

RECORD = Path(__file__).parents[1] / "record.json"
TOLERANCE = 1.25
_ATTEMPTS = 4
_RUNS_ON_RECORD = 5

Ratios = dict[str, float]


def ratios(result: Result, judge: Literal["fastest", "median"]) -> Ratios:
    """Ours to each peer, by the fastest rounds or by the medians."""
    values = {
        row.name: (row.kind, row.fastest if judge == "fastest" else row.median)
        for row in result.rows
    }
    own = next((value for kind, value in values.values() if kind == "ours"), None)
    return {
        f"{result.name}, {name}": own / value
        for name, (kind, value) in values.items()
        if kind == "peer" and own and value
    }


def verdicts(found: Ratios, record: Ratios) -> dict[str, str]:
    """What is wrong, by name: what is worse than on record, and what only one side has."""
    wrong = {}
    for name in sorted(found.keys() | record.keys()):
        if name not in record:
            wrong[name] = "is not on record: make bench-record"
        elif name not in found:
            wrong[name] = "is on record, but was not measured"
        elif found[name] > TOLERANCE * record[name]:
            wrong[name] = f"is {found[name]:.2f}, was {record[name]:.2f}"
    return wrong


def check(entries: Sequence[Workload]) -> bool:
    """Measure, and say whether all is as good as on record."""
    if not RECORD.exists():
        print(f"{RECORD.name} is missing: make bench-record")
        return False
    record: Ratios = json.loads(RECORD.read_text())
    found: Ratios = {}
    wrong: dict[str, str] = {}
    waiting = list(entries)
    for _ in range(_ATTEMPTS):
        _keep_best(found, _measure(waiting))
        wrong = verdicts(found, record)
        waiting = [entry for entry in waiting if _concerns(entry, wrong)]
        if not waiting:
            break
    for name in sorted(found):
        print(f"{name}: {found[name]:.2f} (on record: {record.get(name, float('nan')):.2f})")
    for name, what in wrong.items():
        print(f"failed: {name} {what}")
    return not wrong


def write_record(entries: Sequence[Workload]) -> None:
    """Take the median of several runs as the record."""
    runs = [_measure(entries) for _ in range(_RUNS_ON_RECORD)]
    names = sorted(set().union(*runs))
    record = {name: statistics.median(run[name] for run in runs if name in run) for name in names}
    for name in names:
        seen = [run[name] for run in runs if name in run]
        print(f"{name}: {record[name]:.2f} ({min(seen):.2f} to {max(seen):.2f})")
    rounded = {name: round(value, 4) for name, value in record.items()}
    RECORD.write_text(json.dumps(rounded, indent=1) + "\n")


def _measure(entries: Iterable[Workload]) -> Ratios:
    found: Ratios = {}
    for entry in entries:
        result = run_apart(entry, scale=1.0)
        if result.trouble:
            print(f"{entry.name}: {result.trouble}")
        found |= ratios(result, entry.judge)
    return found


def _keep_best(found: Ratios, more: Ratios) -> None:
    for name, value in more.items():
        found[name] = min(value, found.get(name, value))


def _concerns(entry: Workload, names: Iterable[str]) -> bool:
    return any(name.startswith(f"{entry.name}, ") for name in names)
