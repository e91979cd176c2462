"""The results as pictures: SVG without a background, in colours that are read on any."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from .results import Result, Row, Run
from .workload import Group

_GREY = "#7b7f86"
_COLOURS = {
    "metainformant": "#e0552b",
    "concurrent.futures": "#3b82d0",
    "multiprocessing.pool": "#2e9e62",
    "joblib": "#a56de2",
    "mpire": "#b98a00",
    "pebble": "#d44f96",
    "tqdm thread_map": "#2a9db0",
}
_MARKS = dict(zip(_COLOURS, "os^DvPX", strict=True))


class Plot(NamedTuple):
    """How a group's results become a picture."""

    title: str  # what the picture shows, for those who don't see it too
    x: str
    y: str
    value: Callable[[Row, Result], float | None]
    log_y: bool


def _per_item(row: Row, result: Result) -> float | None:
    return row.median / result.x * 1e6 if row.median and result.x else None


def _efficiency(row: Row, result: Result) -> float | None:
    return 100 * result.ideal / row.median if row.median and result.ideal else None


def _memory(row: Row, _: Result) -> float | None:
    # A tenth of a MiB is less than what can be told apart, and nothing has no logarithm.
    return None if row.median is None else max(row.median, 0.1)


PLOTS = {
    "tiny": Plot(
        "Time per item against the number of items", "items", "us per item", _per_item, True
    ),
    "sleeps": Plot(
        "Efficiency against the number of workers",
        "threads",
        "% of the ideal schedule",
        _efficiency,
        False,
    ),
    "memory": Plot(
        "Memory against the length of the stream",
        "records of 1 kB",
        "MiB above the start",
        _memory,
        True,
    ),
}


def draw_all(run: Run, groups: Iterable[Group], folder: Path) -> dict[str, str]:
    """Draw what there are results for; the descriptions by group."""
    drawn = {}
    for group in groups:
        known = [run.results[entry.name] for entry in group.entries if entry.name in run.results]
        results = [result for result in known if result.x is not None]
        if group.name in PLOTS and any(result.rows for result in results):
            folder.mkdir(parents=True, exist_ok=True)
            plot = PLOTS[group.name]
            _draw(plot, results, folder / f"{group.name}.svg")
            drawn[group.name] = plot.title
    return drawn


def series(results: Iterable[Result], plot: Plot) -> dict[str, list[tuple[int, float]]]:
    """The points of each contender that has a colour, and of the limit, by name."""
    points: dict[str, list[tuple[int, float]]] = {}
    for result in results:
        for row in result.rows:
            value = plot.value(row, result)
            known = row.name in _COLOURS or row.kind == "limit"
            if known and value is not None and result.x is not None:
                points.setdefault(row.name, []).append((result.x, value))
    return points


def _panels(results: list[Result]) -> Iterator[tuple[str, list[Result]]]:
    """Results that share what comes before the last number of their names share a panel."""
    names = list(dict.fromkeys(result.name.rpartition("-")[0] for result in results))
    for name in names:
        yield name, [result for result in results if result.name.rpartition("-")[0] == name]


def _draw(plot: Plot, results: list[Result], path: Path) -> None:
    matplotlib = import_module("matplotlib")
    matplotlib.use("svg")
    pyplot: Any = import_module("matplotlib.pyplot")
    style = {
        "svg.hashsalt": "metainformant",  # the same picture from the same numbers
        "font.size": 10,
        "text.color": _GREY,
        "axes.edgecolor": _GREY,
        "axes.labelcolor": _GREY,
        "xtick.color": _GREY,
        "ytick.color": _GREY,
    }
    panels = list(_panels(results))
    with pyplot.rc_context(style):
        figure, all_axes = pyplot.subplots(
            1, len(panels), figsize=(8, 4.5), sharey=True, squeeze=False, layout="constrained"
        )
        for axes, (name, group) in zip(all_axes[0], panels, strict=True):
            _panel(axes, plot, group, name if len(panels) > 1 else "")
        all_axes[0][0].set_ylabel(plot.y)
        figure.suptitle(plot.title)
        handles, labels = all_axes[0][0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
        figure.savefig(path, transparent=True, metadata={"Date": None})
        pyplot.close(figure)


def _panel(axes: Any, plot: Plot, results: list[Result], title: str) -> None:
    for name, points in series(results, plot).items():
        ours = name == "metainformant"
        axes.plot(
            *zip(*points, strict=True),
            label=name,
            color=_COLOURS.get(name, _GREY),
            marker=_MARKS.get(name),
            markersize=5,
            linestyle="-" if name in _COLOURS else "--",
            linewidth=2.6 if ours else 1.4,
            zorder=3 if ours else 2,
        )
    axes.set_xscale("log")
    axes.set_yscale("log" if plot.log_y else "linear")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,g}")
    if not plot.log_y:
        axes.set_ylim(0, 105)
    axes.set_xlabel(plot.x)
    axes.set_title(title.replace("-", " "), fontsize=10)
    axes.grid(color=_GREY, alpha=0.25, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    ticks = sorted({result.x for result in results if result.x})
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.minorticks_off()
