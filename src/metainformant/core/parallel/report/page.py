"""The report as one HTML file that asks nothing of the network and works without JavaScript."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path

from .markup import Markup, join, tag
from .page_parts import Detail
from .quantities import duration
from .sections import run_section

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

MAX_BYTES = 300_000
# Of these, so many are for style, script and title.
_FRAME_BYTES = 16_000
_MAX_SECTION_BYTES = MAX_BYTES - _FRAME_BYTES

_HERE = Path(__file__).parent

# What is shown of each run, less and less, until the page is small enough.
_DETAILS = (
    Detail(runs=8, groups=20, tracebacks=20, characters=2000, workers=200, steps=120),
    Detail(runs=4, groups=20, tracebacks=5, characters=1000, workers=100, steps=60),
    Detail(runs=2, groups=10, tracebacks=3, characters=500, workers=50, steps=40),
    Detail(runs=1, groups=5, tracebacks=1, characters=300, workers=20, steps=30),
)
# More runs than this have no row of their own.
_MAX_ROWS = 200


def page(data: Mapping[str, Any]) -> str:
    """Return the page for the data of a report; see `Report.data`."""
    return document(title_of(data["runs"]), sections(data["runs"]), script=asset("page.js"))


def title_of(runs: list[dict[str, Any]]) -> str:
    return f"Report: {runs[0]['caller'] if len(runs) == 1 else f'{len(runs)} runs'}"


@cache
def asset(name: str) -> str:
    """Return the text of a file that belongs to the page."""
    return (_HERE / name).read_text("utf-8")


@cache
def policy(script: str, *more: str) -> str:
    """Return the policy by which a browser refuses everything that is not ours."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return "; ".join(
        (
            "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'",
            f"script-src 'sha256-{digest}'",
            *more,
        )
    )


def document(title: str, main: Markup, *, script: str, allowed: Sequence[str] = ()) -> str:
    """Return the whole page.

    Args:
        title: what the browser calls it.
        main: its sections.
        script: the only one that the browser may run.
        allowed: directives that the policy has besides.
    """
    return "<!doctype html>\n" + tag(
        "html",
        tag(
            "head",
            tag("meta", charset="utf-8"),
            tag(
                "meta",
                **{"http-equiv": "Content-Security-Policy"},
                content=policy(script, *allowed),
            ),
            tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
            tag("title", title),
            tag("style", Markup(asset("page.css"))),
        ),
        tag("body", tag("main", main), tag("script", Markup(script))),
        lang="en",
    )


def sections(runs: list[dict[str, Any]]) -> Markup:
    """Return what a page shows of runs, in so much detail that the page stays small."""
    by_length = sorted(range(len(runs)), key=lambda at: -runs[at]["elapsed"])

    def in_detail(detail: Detail) -> Markup:
        shown = [runs[at] for at in sorted(by_length[: detail.runs])]
        return join([_overview(runs, shown), [run_section(run, detail) for run in shown]])

    return fitting(map(in_detail, _DETAILS))


def fitting(versions: Iterable[Markup]) -> Markup:
    """Return the first version that is small enough for a page, or else the last one."""
    version = Markup("")
    for version in versions:
        if len(version.encode("utf-8", "backslashreplace")) <= _MAX_SECTION_BYTES:
            break
    return version


def _overview(runs: list[dict[str, Any]], shown: list[dict[str, Any]]) -> Markup | None:
    """Return a table of several runs; None for one."""
    if len(runs) == 1:
        return None
    if not runs:
        return tag("p", "No run has ended yet.")
    rows = [
        tag(
            "tr",
            tag("td", f"{run['caller']}({run['function']})"),
            tag("td", run["ending"]),
            tag("td", f"{run['counts']['finished']:,}", class_="n"),
            tag("td", f"{run['counts']['failed']:,}", class_="n"),
            tag("td", duration(run["elapsed"]), class_="n", data_v=f"{run['elapsed']:.6g}"),
            tag("td", run["limit"]["sentence"]),
        )
        for run in runs[:_MAX_ROWS]
    ]
    heads = ("run", "ended", "items", "failed", "took", "limit")
    note = f"In detail: {len(shown)} of {len(runs)} runs, those that took longest."
    more = len(runs) - len(rows)
    return join(
        [
            tag("h1", f"{len(runs)} runs"),
            tag(
                "div",
                tag(
                    "table",
                    tag("thead", tag("tr", [tag("th", head) for head in heads])),
                    tag("tbody", rows),
                    class_="sort",
                ),
                class_="wide",
            ),
            tag("p", note, f" {more} more have no row here." if more else "", class_="soft"),
        ]
    )
