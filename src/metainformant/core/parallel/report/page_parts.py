"""What sections of the page are made of: headings, figures, and tables behind them."""

from __future__ import annotations

from typing import NamedTuple

from . import svg
from .markup import Markup, join, tag
from .quantities import duration

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any


class Detail(NamedTuple):
    """The level of detail at which a run is shown.

    Attributes:
        runs: so many have sections.
        groups, tracebacks: groups of failures, and those of them that have a traceback.
        characters: the longest traceback.
        workers: rows of the table of workers.
        steps: rows of tables over time.
    """

    runs: int
    groups: int
    tracebacks: int
    characters: int
    workers: int
    steps: int


def section(title: str, text: str | None, *parts: Markup | None) -> Markup:
    note = None if text is None else tag("p", text, class_="soft")
    return join([tag("h2", title), note, *parts])


def figure(plot: Markup, caption: str = "", labels: Sequence[tuple[float, str]] = ()) -> Markup:
    axis = [tag("span", word, style=f"left:{place:.1%}") for place, word in labels]
    return tag(
        "figure",
        tag("figcaption", caption) if caption else None,
        plot,
        tag("div", axis, class_="axis", aria_hidden="true") if axis else None,
    )


def over_time(run: Mapping[str, Any]) -> list[tuple[float, str]]:
    """Return the labels of a time axis that ends with the last bucket."""
    line = run["timeline"]
    end = line["width"] * max(1, len(line["running"]))
    return svg.Axis(0.0, end, duration).labels()


def steps(run: Mapping[str, Any], detail: Detail, columns: Mapping[str, Any]) -> Markup:
    """Return a table of values over time, hidden until it is wanted."""
    width = run["timeline"]["width"]
    series = {name: svg.shorten(values, detail.steps) for name, (values, _) in columns.items()}
    count = len(next(iter(series.values())))
    each = -(-len(next(iter(columns.values()))[0]) // detail.steps) or 1
    words = [word for _, word in columns.values()]
    rows = [
        (
            seconds_cell(at * each * width),
            *(
                Cell(word(values[at]), values[at])
                for values, word in zip(series.values(), words, strict=True)
            ),
        )
        for at in range(count)
    ]
    return hidden(table(("from", *series), rows))


class Cell(NamedTuple):
    """A number in a table: how it is written, and what it is, for sorting."""

    text: str
    value: float


def seconds_cell(value: float) -> Cell:
    return Cell(duration(value), value)


def count_cell(value: int) -> Cell:
    return Cell(f"{value:,}", value)


def number_cell(value: float, kind: str) -> Cell:
    return Cell(f"{value:.1%}" if kind == "%" else f"{value:.3g}", value)


def table(
    heads: Sequence[str], rows: Iterable[Sequence[str | Cell]], *, sort: bool = True
) -> Markup:
    def cell(value: str | Cell) -> Markup:
        if isinstance(value, Cell):
            return tag("td", value.text, class_="n", data_v=f"{value.value:.6g}" if sort else None)
        return tag("td", value)

    rows = list(rows)
    numbers = [bool(rows) and isinstance(value, Cell) for value in (rows[0] if rows else heads)]
    body = [tag("tr", [cell(value) for value in row]) for row in rows]
    return tag(
        "div",
        tag(
            "table",
            tag(
                "thead",
                tag(
                    "tr",
                    [
                        tag("th", head, class_="n" if is_number else None)
                        for head, is_number in zip(heads, numbers, strict=True)
                    ],
                ),
            ),
            tag("tbody", body),
            class_="sort" if sort else None,
        ),
        class_="wide",
    )


def hidden(*parts: Markup | None) -> Markup:
    return tag("details", tag("summary", "Table"), parts)
