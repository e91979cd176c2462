"""The live page: the page of a report whose sections are replaced while its run goes on."""

from __future__ import annotations

from .markup import Markup, join, tag
from .page import asset, document, fitting, policy, title_of
from .page_parts import Detail
from .sections import run_parts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# What the page may do besides: get events from where it came from, and nobody may frame it.
_CONNECT = "connect-src 'self'"
# It is made twice a second beside the workers, so tables are shorter than those of a report.
_DETAILS = (
    Detail(runs=1, groups=10, tracebacks=3, characters=1000, workers=64, steps=24),
    Detail(runs=1, groups=5, tracebacks=1, characters=300, workers=20, steps=12),
)


def live_page(run: dict[str, Any], sections: Markup, version: int) -> str:
    """Return the page with what is known of a run until now.

    Args:
        run: the data of the run.
        sections: what `live_sections` has made of it.
        version: what the page asks the server for something newer than.
    """
    status = tag("p", "Connecting ...", id="status", class_="soft", role="status")
    main = join([status, tag("div", sections, id="run", data_version=version)])
    return document(title_of([run]), main, script=_script(), allowed=(_CONNECT,))


def live_sections(run: dict[str, Any], let_others_run: Callable[[], object]) -> Markup:
    """Return the sections that replace those of the page.

    That takes some milliseconds, so `let_others_run` is called after each part.
    """

    def in_detail(detail: Detail) -> Markup:
        parts = []
        for part in run_parts(run, detail):
            parts.append(part)
            let_others_run()
        return tag("section", parts, class_="run")

    return fitting(map(in_detail, _DETAILS))


def live_policy() -> str:
    """Return the value of the header Content-Security-Policy of the page."""
    return policy(_script(), _CONNECT, "frame-ancestors 'none'")


def _script() -> str:
    return asset("page.js") + asset("live.js")
