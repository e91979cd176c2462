"""Plots as SVG: bars, lines and shaded rows, at most 2,000 marks each. Pure.

The marks fill a box of 1000 x 100 units that is stretched to the width of the page; labels are
HTML beside it, so that they have the size of other text on a telephone and on paper.
"""

from __future__ import annotations

import math
from itertools import groupby

from .markup import Markup, tag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MAX_MARKS = 2000
_WIDTH, _HEIGHT = 1000.0, 100.0


class Axis:
    """A horizontal axis: where values are, and what is written below some of them.

    Args:
        low, high: the values at its ends.
        word: writes a value.
        is_log: whether equal factors have equal distances.
    """

    def __init__(
        self, low: float, high: float, word: Callable[[float], str], *, is_log: bool = False
    ) -> None:
        self._is_log = is_log
        self._low = math.log10(low) if is_log else low
        self._high = math.log10(high) if is_log else high
        self._word = word

    def at(self, value: float) -> float:
        """Return where a value is, from 0 to 1."""
        if self._is_log:
            value = math.log10(value) if value > 0 else self._low
        span = self._high - self._low
        return min(1.0, max(0.0, (value - self._low) / span)) if span > 0 else 0.0

    def labels(self, count: int = 4) -> list[tuple[float, str]]:
        """Return places from 0 to 1 and what is written there."""
        places = [at / count for at in range(count + 1)]
        values = [self._low + place * (self._high - self._low) for place in places]
        return [
            (place, self._word(10**value if self._is_log else value))
            for place, value in zip(places, values, strict=True)
        ]


def bars(parts: Sequence[tuple[float, float, float]], axis: Axis) -> Markup:
    """Return bars from one value to another, with heights; the highest fills the box."""
    parts = parts[:MAX_MARKS]
    highest = max((height for _, _, height in parts), default=0.0) or 1.0
    marks = []
    for start, stop, height in parts:
        left, right = axis.at(start) * _WIDTH, axis.at(stop) * _WIDTH
        tall = height / highest * _HEIGHT
        if height > 0:
            tall = max(tall, 1.0)  # one among a million is to be seen
            marks.append(_rect(left, _HEIGHT - tall, max(right - left - 1, 1), tall, "bar"))
    return _box(marks)


def lines(series: Sequence[tuple[str, Sequence[float]]], highest: float) -> Markup:
    """Return an area for the first of several series, and lines for the others, over equal steps.

    Args:
        series: the class of each, for its colour, and its values.
        highest: the value at the top of the box.
    """
    marks = []
    for number, (kind, values) in enumerate(series):
        points = shorten(values, MAX_MARKS // max(1, len(series)) // 2)
        if not points:
            continue
        step = _WIDTH / len(points)
        heights = [_HEIGHT - min(1.0, max(0.0, v / (highest or 1))) * _HEIGHT for v in points]
        path = "".join(
            f"L{_short(at * step)} {_short(y)}H{_short((at + 1) * step)}"
            for at, y in enumerate(heights)
        )
        if number == 0:
            closed = f"M0 {_short(_HEIGHT)}{path}V{_short(_HEIGHT)}Z"
            marks.append(tag("path", d=closed, class_=f"area {kind}"))
        else:
            marks.append(tag("path", d=f"M{path[1:]}", class_=f"line {kind}"))
    return _box(marks)


def rows(occupancy: Sequence[Sequence[float]]) -> Markup:
    """Return a row for each series of shares from 0 to 1, shaded by them."""
    count = max(1, len(occupancy))
    tall = _HEIGHT / count
    marks = []
    for number, values in enumerate(occupancy[:MAX_MARKS]):
        cells = shorten(values, max(1, MAX_MARKS // count))
        step = _WIDTH / max(1, len(cells))
        start = 0
        for shade, same in groupby(map(_shade, cells)):
            end = start + len(list(same))
            if shade:
                left, wide = start * step, (end - start) * step
                marks.append(_rect(left, number * tall, wide, tall * 0.85, f"s{shade}"))
            start = end
    return _box(marks)


def stack(parts: Sequence[tuple[str, float]]) -> Markup:
    """Return one bar of parts side by side, each with its class."""
    whole = sum(amount for _, amount in parts) or 1.0
    marks, left = [], 0.0
    for kind, amount in parts[:MAX_MARKS]:
        wide = amount / whole * _WIDTH
        marks.append(_rect(left, 0, wide, _HEIGHT, kind))
        left += wide
    return _box(marks, "stack")


def shorten(values: Sequence[float], most: int) -> list[float]:
    """Return at most so many values: the means of consecutive ones, of as many as are needed."""
    each = math.ceil(len(values) / max(1, most)) or 1
    if each == 1:
        return list(values)
    parts = [values[at : at + each] for at in range(0, len(values), each)]
    return [sum(part) / len(part) for part in parts]


def _shade(share: float) -> int:
    """Return one of 5 shades; 0 for what is not worth one."""
    return min(5, math.ceil(share * 5 - 0.05))


def _rect(x: float, y: float, width: float, height: float, kind: str) -> Markup:
    return tag(
        "rect", x=_short(x), y=_short(y), width=_short(width), height=_short(height), class_=kind
    )


def _box(marks: list[Markup], kind: str = "") -> Markup:
    return tag(
        "svg",
        marks,
        viewBox=f"0 0 {_WIDTH:g} {_HEIGHT:g}",
        preserveAspectRatio="none",
        class_=kind or None,
        aria_hidden="true",
    )


def _short(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")
