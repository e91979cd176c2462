"""Runs without an engine, in this process and in others."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from metainformant.core.parallel.checkpoint.config import Checkpoint
from metainformant.core.parallel.checkpoint.finished import Span
from metainformant.core.parallel.checkpoint.run import DurableRun

ROOT = Path(__file__).parents[2]


def double(item: int) -> int:
    return item * 2


def fail_at_odd(item: int) -> int:
    if item % 2:
        raise ValueError(f"{item} is odd")
    return item * 2


class Recorder:
    """A function that notes the items that it is called for."""

    def __init__(self, func: Callable[[Any], Any] = double) -> None:
        self.func = func
        self.items: list[Any] = []

    def __call__(self, item: Any) -> Any:
        self.items.append(item)
        return self.func(item)


def run_map(
    checkpoint: Checkpoint,
    func: Callable[[Any], Any],
    items: Sequence[Any],
    piece: int = 3,
    block_size: int | None = None,
) -> list[Any]:
    """The least map that there can be: the slots of a map in one thread, with a checkpoint.

    Chunks are of `piece` items; the input is read whole, or in blocks.
    """
    slots: list[Any] = [None] * len(items)
    called = func.func if isinstance(func, Recorder) else func

    def committed(tokens: list[tuple[int, list[Any]]]) -> None:
        for start, values in tokens:
            slots[start : start + len(values)] = values

    run = DurableRun(checkpoint, called, list(items) if block_size is None else None)
    try:
        run.start_writer(committed)
        blocks = [run.block]
        if block_size is not None:
            firsts = range(0, len(items), block_size)
            blocks = [run.admit(items[at : at + block_size], at) for at in firsts]
        for block in blocks:
            for start, stop, recorded in block.spans:
                if recorded is not None:
                    outcomes = run.replay(block, Span(start, stop, recorded))
                    slots[block.first + start : block.first + stop] = outcomes.values
                    continue
                for at in range(block.first + start, block.first + stop, piece):
                    end = min(at + piece, block.first + stop)
                    run.begun(block, at, end)
                    values, failed = call(func, items, at, end)
                    run.record((at, values), block, at, values, failed)
    finally:
        run.close()
    return slots


def call(
    func: Callable[[Any], Any], items: Sequence[Any], start: int, stop: int
) -> tuple[list[Any], dict[int, BaseException]]:
    values: list[Any] = []
    failed: dict[int, BaseException] = {}
    for index in range(start, stop):
        try:
            values.append(func(items[index]))
        except Exception as error:
            failed[index] = error
            values.append(error)
    return values, failed


def start_python(code: str, *arguments: str, **options: Any) -> subprocess.Popen[str]:
    """Start an interpreter that runs `code` with these arguments; its output is piped."""
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        **options,
    )


# Tasks of real maps, for workers of any kind. Each notes in a file that it is run.


def noted(log: Path, item: Any) -> Any:
    """Return the item in a tuple, which JSON does not give back."""
    note(log, item)
    return "result", item


def noted_batch(log: Path, items: list[Any]) -> list[Any]:
    return [noted(log, item) for item in items]


def noted_or_failed(log: Path, item: int) -> int:
    note(log, item)
    if item % 2:
        raise ValueError(f"{item} is odd")
    return 3 * item


def noted_and_slow(log: Path, item: int) -> int:
    note(log, item)
    time.sleep(0.0005)
    return 3 * item


def note(log: Path, item: Any) -> None:
    file = os.open(log, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    os.write(file, f"{item}\n".encode())
    os.close(file)


def noted_items(log: Path) -> list[int]:
    """Return what was noted since the last call."""
    try:
        text = log.read_text()
    except FileNotFoundError:
        return []
    log.unlink()
    return [int(line) for line in text.split()]
