"""The maps of this library, as contenders."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from metainformant.core import parallel

from ..harness.workload import Contender, Run, Unable

NAME = "metainformant"


def ours(run: Run | Unable, variant: str = "") -> Contender:
    return Contender(f"{NAME}, {variant}" if variant else NAME, "ours", run)


def threads(func: Callable[[Any], Any], items: Any, workers: int) -> list[Contender]:
    """The map over threads, without and with a timeout."""
    run = partial(parallel.thread_map, func, items, workers)
    return [ours(run), ours(partial(run, timeout=30), "timeout=30")]


def processes(
    func: Callable[[Any], Any], items: Any, workers: int, **options: Any
) -> list[Contender]:
    """The map over processes that are forked."""
    run = getattr(parallel, "process_map", None)
    if run is None:
        return [ours(Unable("there is no parallel.process_map yet"))]
    return [ours(partial(run, func, items, workers, start_method="fork", **options))]


def checkpointed(func: Callable[[Any], Any], items: Any, workers: int, folder: Path) -> list[Any]:
    """The map over threads that keeps its results in a file of that folder."""
    options: dict[str, Any] = {"checkpoint": folder / "results"}
    return parallel.thread_map(func, items, workers, **options)


def plain_loop(func: Callable[[Any], Any], items: Any) -> Contender:
    """What the work itself takes."""
    return Contender("plain loop", "limit", lambda: list(map(func, items)))
