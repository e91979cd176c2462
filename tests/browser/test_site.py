"""The site of the documents in a browser: make docs-check builds it, and sets SITE to where."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.webdriver import Browser
from tests.support import wait_until

pytestmark = pytest.mark.skipif("SITE" not in os.environ, reason="needs a site: make docs-check")

# The theme hides what is wider than the page, and lets its contents scroll.
WIDER = """
return [document.documentElement, ...document.querySelectorAll(".content")]
    .filter((one) => one.scrollWidth > one.clientWidth).map((one) => one.scrollWidth);
"""
ELSEWHERE = """
return performance.getEntriesByType("resource").map((entry) => entry.name)
    .filter((name) => !/^(file|data):/.test(name));
"""
BROKEN = "return [...document.images].filter((one) => !one.naturalWidth).map((one) => one.src)"
FOUND = "return [...document.querySelectorAll('#search-results li a')].map((a) => a.textContent)"


@pytest.fixture(scope="module")
def site() -> Path:
    return Path(os.environ["SITE"]).resolve()


def _pages(site: Path) -> Iterator[str]:
    for path in sorted(site.rglob("*.html")):
        if path != site / "index.html":  # which leads to another at once
            yield path.as_uri()


@pytest.mark.parametrize("width", [390, 1400])
def test_no_page_scrolls_sideways_or_loads_from_elsewhere(
    browser: Browser, site: Path, width: int
) -> None:
    browser.set_screen(width)
    wrong = []
    for address in _pages(site):
        browser.open(address)
        for script in (WIDER, ELSEWHERE, BROKEN):
            wrong += [(address, name) for name in browser.run(script)]
    assert wrong == []


def test_the_search_needs_no_server(browser: Browser, site: Path) -> None:
    browser.open((site / "search.html").as_uri() + "?q=max_abandoned")
    wait_until(lambda: "All options, all functions" in browser.run(FOUND))
