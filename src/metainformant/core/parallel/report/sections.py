"""The sections of the page, in order: what one run was like."""

from __future__ import annotations

from itertools import accumulate

from . import svg
from .changes_section import changes_section
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
from .quantities import duration, number, size
from .record import NOT_YET
from .time_parts import PARTS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
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


def run_section(run: Mapping[str, Any], detail: Detail) -> Markup:
    """Return all about one run."""
    return tag("section", list(run_parts(run, detail)), class_="run")


def run_parts(run: Mapping[str, Any], detail: Detail) -> Iterator[Markup]:
    """Yield all about one run, each part as soon as it is made: the largest takes some ms."""
    yield tag("h1", f"{run['caller']}({run['function']})")
    yield tag("p", run["limit"]["sentence"], class_="limit")
    yield _counts(run)
    yield _time(run)
    yield _running(run, detail)
    yield _occupancy(run, detail)
    yield changes_section(run)
    yield _durations(run)
    yield _throughput(run, detail)
    yield _failures(run, detail)
    yield _memory(run, detail)
    yield _surroundings(run)


def _counts(run: Mapping[str, Any]) -> Markup:
    counts, elapsed = run["counts"], run["elapsed"]
    facts: list[tuple[str, str, bool]] = [
        ("ended", run["ending"], run["ending"] not in ("completed", NOT_YET)),
        ("took", duration(elapsed), False),
        ("items", f"{counts['finished']:,}{_of(counts['total'], counts['finished'])}", False),
        ("ok", f"{counts['ok']:,}", False),
        ("failed", f"{counts['failed']:,}", counts["failed"] > 0),
    ]
    rare = ("timed_out", "cancelled", "retried", "throttled", "abandoned", "from_checkpoint")
    facts.extend(
        (name.replace("_", " "), f"{counts[name]:,}", name == "timed_out")
        for name in rare
        if counts[name]
    )
    if elapsed > 0:
        facts.append(("items per second", number(counts["attempts"] / elapsed), False))
    return join(
        [
            tag(
                "dl",
                [
                    tag("div", tag("dt", name), tag("dd", value), class_="bad" if bad else None)
                    for name, value, bad in facts
                ],
                class_="facts",
            ),
            tag("p", f"Stopped: {run['reason']}") if run["reason"] else None,
        ]
    )


def _of(total: int | None, finished: int) -> str:
    return "" if total is None or total == finished else f" of {total:,}"


def _time(run: Mapping[str, Any]) -> Markup:
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
    time, elapsed = run["time"], run["elapsed"] or 1.0
    facts = []
    if time["pressure"] is not None:
        share = min(1.0, time["pressure"] / elapsed)
        facts.append(f"something on this machine waited for a processor {share:.0%} of the time")
    if time["involuntary_switches"] is not None:
        facts.append(f"one was taken from this process {time['involuntary_switches']:,} times")
    if time["throttled"]:
        facts.append(f"a control group stopped this process for {duration(time['throttled'])}")
    return tag("p", f"The system says: {'; '.join(facts)}.", class_="soft") if facts else None


def _key(name: str) -> Markup:
    mark = tag("rect", width=10, height=10, class_=_COLOURS[name])
    return join(
        [tag("svg", mark, viewBox="0 0 10 10", class_="key", aria_hidden="true"), PARTS[name]]
    )


def _running(run: Mapping[str, Any], detail: Detail) -> Markup:
    values = run["timeline"]["running"]
    workers = run["time"]["workers"]
    return section(
        "What was running when",
        "Workers that were in calls.",
        figure(svg.lines([("", values)], workers), f"up to {workers}", over_time(run)),
        steps(run, detail, {"running": (values, lambda value: f"{value:.1f}")}),
    )


def _occupancy(run: Mapping[str, Any], detail: Detail) -> Markup:
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


def _durations(run: Mapping[str, Any]) -> Markup:
    spent = run["durations"]
    bins = spent["bins"]
    if not bins:
        return Markup("")
    low, high = max(bins[0][0], 1e-8), bins[-1][1]
    axis = svg.Axis(low, high, duration, is_log=True)
    most = max(count for _, _, count in bins)
    names = ("min", "p50", "p90", "p95", "p99", "p99.9", "max", "mean")
    by_chunk = (
        f" {spent['untimed']:,} of them were too short to be timed one by one, and count with the "
        "mean of their chunk."
        if spent["untimed"]
        else ""
    )
    slowest = table(
        ("item", "index", "took", "worker", "attempt"),
        [
            (
                slow["item"],
                count_cell(slow["index"]),
                seconds_cell(slow["seconds"]),
                slow["worker"],
                count_cell(slow["attempt"]),
            )
            for slow in run["slowest"]
        ],
    )
    return section(
        "Durations",
        f"{spent['count']:,} calls, of which each took so long.{by_chunk}",
        figure(svg.bars(bins, axis), f"up to {most:,} calls", axis.labels()),
        table(names, [tuple(seconds_cell(spent[name]) for name in names)], sort=False),
        hidden(
            table(
                ("from", "to", "calls"),
                [(seconds_cell(a), seconds_cell(b), count_cell(n)) for a, b, n in bins if n],
            )
        ),
        tag("h2", "The slowest"),
        slowest,
    )


def _throughput(run: Mapping[str, Any], detail: Detail) -> Markup:
    line = run["timeline"]
    width = line["width"]
    speeds = [count / width for count in line["attempts"]]
    failed = [count / width for count in line["failed"]]
    highest = max(svg.shorten(speeds, svg.MAX_MARKS // 4), default=0.0)
    series = [("", speeds)] + ([("bad", failed)] if any(failed) else [])
    columns = {"items per second": (speeds, number)}
    if any(failed):
        columns["failed per second"] = (failed, number)
    return section(
        "Throughput",
        "Items per second" + ("; the line: those that failed." if any(failed) else "."),
        figure(svg.lines(series, highest), f"up to {highest:,.4g} per second", over_time(run)),
        steps(run, detail, columns),
    )


def _failures(run: Mapping[str, Any], detail: Detail) -> Markup:
    groups, other = run["failures"]["groups"], run["failures"]["other"]
    if not groups:
        return Markup("")
    shown = groups[: detail.groups]
    rest = sum(group["count"] for group in groups[detail.groups :]) + other
    parts = []
    for place, group in enumerate(shown):
        trace = group["traceback"] if place < detail.tracebacks else ""
        if len(trace) > detail.characters:
            trace = f"...{trace[-detail.characters :]}"
        parts.append(
            tag(
                "details",
                tag(
                    "summary",
                    tag("strong", f"{group['count']:,} x {group['type']}"),
                    f": {group['message'][: detail.characters]} ",
                    f"(first: item {group['first_index']}, {group['first_item']})",
                ),
                tag("pre", trace) if trace else None,
                open="" if place == 0 else None,
            )
        )
    return section(
        "Failures",
        f"{run['counts']['failed']:,} items failed.",
        join(parts),
        tag("p", f"{rest:,} more failures are of other kinds.", class_="soft") if rest else None,
    )


def _memory(run: Mapping[str, Any], detail: Detail) -> Markup:
    line = run["timeline"]
    # Where nobody looked, it is what was seen before.
    here: list[float] = list(accumulate(line["memory"], lambda before, value: value or before))
    workers = line["worker_memory"]
    highest = max([*here, *workers], default=0.0)
    if not highest:
        return Markup("")
    series, columns = [("", here)], {"this process": (here, size)}
    text = "Of this process, looked at four times a second."
    if workers:
        series.append(("more", workers))
        columns["workers"] = (workers, size)
        text += (
            " The line: the most that each worker has used until then, added up; what they share "
            "counts for each. That of each is in the table of workers."
        )
    return section(
        "Memory",
        text,
        figure(svg.lines(series, highest), f"up to {size(highest)}", over_time(run)),
        steps(run, detail, columns),
    )


def _surroundings(run: Mapping[str, Any]) -> Markup:
    host = run["host"]
    rows = [
        ("started", run["started"]),
        ("backend", f"{run['backend']}, max_workers={run['max_workers']}"),
        *((f"{name}=", value) for name, value in run["options"].items()),
        ("Python", f"{host['implementation']} {host['python']}{'' if host['gil'] else ', no GIL'}"),
        ("platform", host["platform"]),
        ("host", f"{host['machine']}, {host['cpus']} processors, process {host['pid']}"),
    ]
    return section("Versions, host, options", None, table(("what", ""), rows, sort=False))
