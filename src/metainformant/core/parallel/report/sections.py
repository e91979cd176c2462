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
    over_time,
    seconds_cell,
    section,
    steps,
    table,
)
from .quantities import duration, number, size
from .record import NOT_YET
from .worker_sections import running_section, time_section, workers_section

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any


def run_section(run: Mapping[str, Any], detail: Detail) -> Markup:
    """Return all about one run."""
    return tag("section", list(run_parts(run, detail)), class_="run")


def run_parts(run: Mapping[str, Any], detail: Detail) -> Iterator[Markup]:
    """Yield all about one run, each part as soon as it is made: the largest takes some ms."""
    yield tag("h1", f"{run['caller']}({run['function']})")
    yield tag("p", run["limit"]["sentence"], class_="limit")
    yield _counts(run)
    yield time_section(run)
    yield running_section(run, detail)
    yield workers_section(run, detail)
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
