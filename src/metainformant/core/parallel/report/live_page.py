"""The live page: the page of a report whose sections are replaced while its run goes on."""

from __future__ import annotations

from .markup import Markup, join, tag
from .page import asset, document, policy, sections, title_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# What the page may do besides: get events from where it came from, and nobody may frame it.
_CONNECT = "connect-src 'self'"


def live_page(run: dict[str, Any]) -> str:
    """Return the page with what is known of a run until now."""
    status = tag("p", "Connecting ...", id="status", class_="soft", role="status")
    main = join([status, tag("div", live_sections(run), id="run")])
    return document(title_of([run]), main, script=_script(), allowed=(_CONNECT,))


def live_sections(run: dict[str, Any]) -> Markup:
    """Return the sections that replace those of the page."""
    return sections([run])


def live_policy() -> str:
    """Return the value of the header Content-Security-Policy of the page."""
    return policy(_script(), _CONNECT, "frame-ancestors 'none'")


def _script() -> str:
    return asset("page.js") + asset("live.js")
