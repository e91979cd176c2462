"""The page of a report in a browser: it loads nothing, fits any screen, and sorts its tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from metainformant.core.parallel.report.page import page
from tests.browser.webdriver import Browser
from tests.report.test_page import HOSTILE, hostile_record, run_of

REACHED = "return performance.getEntriesByType('resource').map((entry) => entry.name)"


@pytest.fixture
def address(tmp_path: Path) -> str:
    """Return the address of a page with a hostile text wherever there is text."""
    run = run_of(hostile_record(64, 30), function=HOSTILE, reason=HOSTILE, caller=HOSTILE)
    path = tmp_path / "run.html"
    path.write_text(page({"runs": [run]}), "utf-8", "backslashreplace")
    return path.as_uri()


def test_hostile_texts_stay_texts_and_nothing_is_loaded(browser: Browser, address: str) -> None:
    browser.open(address)
    assert browser.run("return document.querySelectorAll('img').length") == 0
    assert "<img src=x onerror=alert(1)>" in browser.run("return document.body.innerText")
    assert browser.run(REACHED) == []
    assert browser.run("return document.scripts.length") == 1


def test_a_click_sorts_a_table(browser: Browser, address: str) -> None:
    browser.open(address)
    values = browser.run(
        """
        const table = [...document.querySelectorAll("table.sort")]
            .find((one) => one.tHead.textContent.startsWith("item"));
        table.querySelectorAll("th button")[2].click();
        return [...table.tBodies[0].rows].map((row) => Number(row.cells[2].dataset.v));
        """
    )
    assert len(values) == 20
    assert values == sorted(values)


@pytest.mark.parametrize("width", [400, 1400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_any_screen_in_either_colour(
    browser: Browser, address: str, width: int, scheme: str
) -> None:
    browser.set_screen(width, scheme=scheme)
    browser.open(address)
    assert browser.run("return matchMedia('(prefers-color-scheme: dark)').matches") == (
        scheme == "dark"
    )
    assert browser.run("return document.documentElement.scrollWidth") <= width
    paper, ink = browser.run(
        """
        const style = getComputedStyle(document.body);
        const light = (colour) => colour.match(/\\d+/g).slice(0, 3).reduce((a, b) => +a + +b, 0);
        return [light(style.backgroundColor), light(style.color)];
        """
    )
    assert (paper > ink) == (scheme == "light")
    assert abs(paper - ink) > 500  # of 765
    # A line of small text has room for its words: no label is cut off or above another.
    overlapping = browser.run(
        """
        const axes = [...document.querySelectorAll(".axis")];
        return axes.flatMap((axis) => {
          const boxes = [...axis.children].map((label) => label.getBoundingClientRect());
          return boxes.slice(1).filter((box, at) => box.width && box.left < boxes[at].right);
        }).length;
        """
    )
    assert overlapping == 0
