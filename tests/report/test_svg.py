"""Plots: well-formed, in their box, of a bounded number of marks."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metainformant.core.parallel.report import svg
from metainformant.core.parallel.report.markup import Markup, tag

VALUES = st.lists(st.floats(0, 1e9), max_size=300)


def _marks(text: str) -> list[ET.Element]:
    return list(ET.fromstring(text))


@given(VALUES)
def test_bars_are_in_their_box_and_none_is_lost(values: list[float]) -> None:
    axis = svg.Axis(1, 2 + len(values), str, is_log=True)
    marks = _marks(svg.bars([(at + 1, at + 2, v) for at, v in enumerate(values)], axis))
    assert len(marks) == sum(value > 0 for value in values)
    for mark in marks:
        assert 0 <= float(mark.attrib["x"]) <= 1000
        assert 0.9 <= float(mark.attrib["height"]) <= 100
    if marks:
        assert max(float(mark.attrib["height"]) for mark in marks) == 100


@pytest.mark.parametrize("count", [0, 1, 64, 512])
def test_rows_have_a_bounded_number_of_marks(count: int) -> None:
    busy = [[(row + at) % 2 for at in range(240)] for row in range(count)]
    marks = _marks(svg.rows(busy))
    assert len(marks) <= svg.MAX_MARKS
    assert bool(marks) == (count > 0)


def test_equal_neighbours_are_one_mark() -> None:
    (mark,) = _marks(svg.rows([[1.0] * 240]))
    assert (mark.attrib["width"], mark.attrib["class"]) == ("1000", "s5")


@given(VALUES)
def test_lines_are_well_formed(values: list[float]) -> None:
    marks = _marks(svg.lines([("a", values), ("b", values)], 10.0))
    assert len(marks) == (2 if values else 0)


@given(VALUES, st.integers(1, 50))
def test_shortening_keeps_the_mean(values: list[float], most: int) -> None:
    short = svg.shorten(values, most)
    assert len(short) <= most
    if values and len(values) % len(short) == 0:
        assert sum(short) / len(short) == pytest.approx(sum(values) / len(values))


def test_parts_of_a_stack_fill_it() -> None:
    one, other = _marks(svg.stack([("p0", 3.0), ("p1", 1.0)]))
    assert (one.attrib["width"], other.attrib["x"], other.attrib["width"]) == ("750", "750", "250")


def test_labels_of_an_axis() -> None:
    assert svg.Axis(0, 8, "{:g}".format).labels(2) == [(0, "0"), (0.5, "4"), (1, "8")]
    assert svg.Axis(1, 100, "{:.0f}".format, is_log=True).labels(2)[1] == (0.5, "10")
    assert svg.Axis(5, 5, str).at(5) == 0


@given(st.text(), st.text())
def test_markup_holds_any_text(content: str, value: str) -> None:
    text = tag("p", content, title=value)
    assert ET.fromstring(text).tag == "p"
    assert isinstance(text, Markup)
    assert "<" not in text.removeprefix("<p").removesuffix("</p>")
