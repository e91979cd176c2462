"""The sections of the page about workers: where their time went, and what each of them did."""

from __future__ import annotations

from . import svg
from .facts import Facts
from .markup import Markup, join, tag
from .page_parts import (
    Detail,
    count_cell,
    figure,
    hidden,
    number_cell,
    over_time,
    seconds_cell,
    section,
    steps,
    table,
)
from .quantities import duration, size
from .time_parts import PARTS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

# Workers that have a row each; more of them share rows.
_MAX_ROWS = 64
# The colours of the parts of time.
_COLOURS = {
    "computing": "p0",
    "calls": "p1",
    "waiting": "p1",
    "gil": "p2",
    "unknown": "p1",
    "not_scheduled": "p3",
    "input": "p4",
    "consumer": "p4",
    "callbacks": "p4",
    "rate": "p6",
    "retries": "p6",
    "startup": "p8",
    "transport": "p7",
    "tail": "p5",
    "tiny": "p5",
}


def time_section(run: Mapping[str, Any]) -> Markup:
    """Return where the seconds of all workers went."""
    time = run["time"]
    whole = time["worker_seconds"] or 1.0
    parts = list(time["parts"].items())
    return section(
        "Where the time went",
        f"{'Up to ' if run['auto'] else ''}{time['workers']} workers x "
        f"{duration(run['elapsed'])}: {duration(whole)} in all.",
        figure(svg.stack([(_COLOURS[name], seconds) for name, seconds in parts])),
        table(
            ("part", "time", "share"),
            [
                (_key(name), seconds_cell(took), number_cell(took / whole, "%"))
                for name, took in parts
            ],
        ),
        _shortage(run),
    )


def _shortage(run: Mapping[str, Any]) -> Markup | None:
    """Return what the system says about a lack of processors; None if it says nothing."""
    facts, said = Facts(run), []
    if facts.pressure is not None:
        said.append(
            f"something on this machine waited for a processor {facts.pressure:.0%} of the time"
        )
    if (switches := run["time"]["involuntary_switches"]) is not None:
        said.append(f"one was taken from this process {switches:,} times")
    if facts.throttled:
        said.append(f"a control group stopped this process for {duration(facts.throttled)}")
    return tag("p", f"The system says: {'; '.join(said)}.", class_="soft") if said else None


def _key(name: str) -> Markup:
    mark = tag("rect", width=10, height=10, class_=_COLOURS[name])
    return join(
        [tag("svg", mark, viewBox="0 0 10 10", class_="key", aria_hidden="true"), PARTS[name]]
    )


def running_section(run: Mapping[str, Any], detail: Detail) -> Markup:
    """Return how many workers were in calls, over time."""
    values = run["timeline"]["running"]
    workers = run["time"]["workers"]
    return section(
        "What was running when",
        "Workers that were in calls.",
        figure(svg.lines([("", values)], workers), f"up to {workers}", over_time(run)),
        steps(run, detail, {"running": (values, lambda value: f"{value:.1f}")}),
    )


def workers_section(run: Mapping[str, Any], detail: Detail) -> Markup:
    """Return what each worker did, and when it was in calls."""
    workers = run["workers"]
    each = -(-len(workers) // _MAX_ROWS) or 1
    grouped = [
        _mean([row["occupancy"] for row in workers[at : at + each]])
        for at in range(0, len(workers), each)
    ]
    elapsed = run["elapsed"] or 1.0
    rest = len(workers) - detail.workers
    per_row = f" A row stands for {each} of them." if each > 1 else ""
    return section(
        "Workers",
        f"{len(workers):,} workers, one below the other; filled where they were in calls.{per_row}",
        figure(svg.rows(grouped), "", over_time(run)),
        hidden(
            table(
                ("worker", "in calls", "share", "computed", "chunks", "items", "most memory"),
                [
                    (
                        row["name"],
                        seconds_cell(row["busy"]),
                        number_cell(row["busy"] / elapsed, "%"),
                        seconds_cell(row["cpu"]),
                        count_cell(row["chunks"]),
                        count_cell(row["items"]),
                        size(row["peak_memory"]) if row["peak_memory"] else "",
                    )
                    for row in workers[: detail.workers]
                ],
            ),
            tag("p", f"{rest:,} more have no row here.", class_="soft") if rest > 0 else None,
        ),
    )


def _mean(series: Sequence[Sequence[float]]) -> Sequence[float]:
    if len(series) == 1:
        return series[0]
    return [sum(column) / len(series) for column in zip(*series, strict=True)]
