"""The results as Markdown."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from .results import Result, Row, Run, ratio
from .workload import Group

_WORDS = {
    "s": "fastest | slowest | to the fastest",
    "MiB": "least | most | to the smallest",
}

INTRODUCTION = """\
# Benchmarks

`make bench` measures all of this on your machine, in about half an hour, with the other
libraries in an environment of their own. Each workload runs in a process of its own, where all
contenders take turns, round after round, so that a slow minute slows all of them; those that take
long sit out some of the rounds. Compare within a table, and mind the spread between fastest and
slowest round.

A contender that can't do a workload as it is (no exception for a single item, no timeout for a
single task) is not given a lighter one: its row says why. Ratios are those of medians: to the
fastest of the other libraries, and to the limit, which is what is physically possible, or the same
map without what is measured, and is said above each table.

`make bench ONLY="tiny sleeps"` measures some chapters or workloads again; `make bench-check`
compares a few ratios with those on record, and is part of `make test`.

One row needs a Python without the GIL: from the PATH, pyenv or `make pythons`, or the one that the
environment variable `BENCH_FREE_THREADED` names. A row is skipped, and says so, where what it needs
is missing.
"""


def page(run: Run, groups: Iterable[Group], plots: dict[str, str]) -> str:
    """The whole document. `plots` has an image's description for each file name."""
    chapters = [
        (group, [run.results[entry.name] for entry in group.entries if entry.name in run.results])
        for group in groups
    ]
    parts = [
        INTRODUCTION,
        _environment(run),
        _summary(result for _, results in chapters for result in results),
    ]
    for group, results in chapters:
        if not results:
            continue
        parts.append(f"## {group.title}\n")
        if group.text:
            parts.append(paragraph(group.text))
        if group.name in plots:
            parts.append(f"![{plots[group.name]}](benchmarks/{group.name}.svg)\n")
        parts.extend(section(result) for result in results)
    return "\n".join(parts)


def _summary(results: Iterable[Result]) -> str:
    """One line for each workload that has a peer or a limit."""
    lines = [
        "## At a glance",
        "",
        "The first row of metainformant in each table below, the best of the others, and ratios to",
        "that one and to the limit.",
        "",
        "| workload | metainformant | best peer | to the best peer | to the limit |",
        "| --- | ---: | --- | ---: | ---: |",
    ]
    for result in results:
        ours = next((row.median for row in result.rows if row.kind == "ours"), None)
        to_limit = ratio(ours, result.ideal) if result.limit else None
        if ours is None or (result.best_peer is None and to_limit is None):
            continue
        peer, name = result.best_peer or (None, "")
        best = f"{name}, {quantity(peer, result.unit)}" if name else ""
        cells = [result.title, quantity(ours, result.unit), best]
        cells += [_ratio(ratio(ours, peer)), _ratio(to_limit)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def section(result: Result) -> str:
    lines = [f"### {result.title}", ""]
    caption = _caption(result)
    if caption:
        lines += [paragraph(caption)]
    if result.trouble:
        lines += [paragraph(result.trouble)]
    elif result.facts:
        lines += ["| | |", "| --- | --- |"]
        lines += [f"| {name} | {value} |" for name, value in result.facts.items()] + [""]
    else:
        lines += [
            f"| contender | median | {_WORDS[result.unit]} peer | to the limit | rounds |",
            "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
            *(_row(row, result) for row in result.rows),
            "",
        ]
    return "\n".join(lines)


def _caption(result: Result) -> str:
    parts = []
    if result.limit and result.ideal is not None:
        parts.append(f"Limit: {result.limit}, {quantity(result.ideal, result.unit)}.")
    if result.python:
        parts.append(f"On {result.python}.")
    return " ".join([*parts, result.note]).strip()


def _row(row: Row, result: Result) -> str:
    if row.median is None:
        return f"| {row.name} | {row.reason} | | | | | |"
    values = [quantity(value, result.unit) for value in (row.median, row.fastest, row.slowest)]
    to_peer = "" if row.kind == "limit" else _ratio(ratio(row.median, result.fastest_peer))
    to_limit = _ratio(ratio(row.median, result.ideal)) if result.limit else ""
    return "| " + " | ".join([row.name, *values, to_peer, to_limit, str(row.rounds)]) + " |"


def _ratio(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def quantity(value: float | None, unit: str) -> str:
    """A number with three digits that mean something, and a unit in which it is easy to read."""
    if value is None:
        return ""
    if unit != "s":
        return f"{value:,.1f} {unit}"
    scales = ((1.0, "s"), (1e3, "ms"), (1e6, "us"))
    factor, name = next((scale for scale in scales if value * scale[0] >= 1), scales[-1])
    number = value * factor
    return f"{number:,.{2 if number < 10 else 1 if number < 100 else 0}f} {name}"


def paragraph(text: str, width: int = 100) -> str:
    return textwrap.fill(text, width, break_long_words=False, break_on_hyphens=False) + "\n"


def _environment(run: Run) -> str:
    dates = sorted({result.date for result in run.results.values()})
    when = dates[0] if dates[0] == dates[-1] else f"{dates[0]} to {dates[-1]}"
    rows = {"Date": when} | run.environment
    table = [f"| {name} | {value} |" for name, value in rows.items()]
    return "\n".join(["| | |", "| --- | --- |", *table, ""])
