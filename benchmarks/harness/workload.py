"""What is measured: groups of workloads, and the contenders of each."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Literal

Run = Callable[[], object]
Kind = Literal["ours", "peer", "limit"]
Unit = Literal["s", "MiB"]
PATIENCE = 300.0


@dataclass(frozen=True)
class Unable:
    """Why a contender does not do a workload. The table says this in place of numbers."""

    reason: str


@dataclass(frozen=True)
class Contender:
    """One row of a table.

    Attributes:
        run: does the work once. Where the workload says so, it returns what it measured itself.
        probe: does only one of so many parts of the work. If that says that a round would take
            too long, the contender is left out, with that word in the table.
    """

    name: str
    kind: Kind
    run: Run | Unable
    probe: Callable[[int], object] | None = None


@dataclass(frozen=True)
class Workload:
    """Contenders that do the same, in turn, in one process.

    Attributes:
        build: makes the contenders. What has to be closed after the last round goes on the stack.
        rounds: at most so many; fewer, but not below three, for contenders that would need more
            than their share of `seconds`.
        own: that `run` returns what it measured, instead of being timed.
        limit: what is physically possible, or the same map without what is measured, in words.
        ideal: the limit as a number. Otherwise it is the median of the contender of that kind,
            divided by `parts`.
        expected: how many results a list has, and how many of them are failures, if that is more
            than the first contender can tell.
        note: what a reader should know about the numbers.
        judge: what of its rounds varies least from run to run, for ratios on record.
        patience: seconds after which it is taken to hang.
        x: its place in the plot of its group.
        needs: a name of the library without which there is nothing to measure, or an option of
            its maps, with an equals sign behind it.
        free_threaded: that it is measured on a Python without the GIL, where there is one.
    """

    name: str
    title: str
    build: Callable[[ExitStack], list[Contender]]
    rounds: int = 25
    seconds: float = 8
    unit: Unit = "s"
    own: bool = False
    limit: str = ""
    ideal: float | None = None
    parts: int = 1
    expected: tuple[int, int] | None = None
    note: str = ""
    judge: Literal["fastest", "median"] = "fastest"
    patience: float = PATIENCE
    x: int | None = None
    needs: str = "thread_map"
    free_threaded: bool = False


@dataclass(frozen=True)
class Facts:
    """Something that no other library does: names and values, measured once."""

    name: str
    title: str
    report: Callable[[], dict[str, str]]
    note: str = ""
    patience: float = PATIENCE
    needs: str = "thread_map"
    free_threaded: bool = False


Entry = Workload | Facts


@dataclass(frozen=True)
class Group:
    """A chapter of the page."""

    name: str
    title: str
    entries: list[Entry]
    text: str = ""
