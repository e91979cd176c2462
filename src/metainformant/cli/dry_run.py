"""What a run would do: `metainformant map --dry-run`."""

from __future__ import annotations

from typing import Any

import click

from metainformant.core import parallel

from .record import BrokenInputError
from .run import SOME_FAILED, batches
from .session import Arguments
from .standard_streams import take_stdin


def plan(arguments: Arguments) -> int:
    """Print what is in the checkpoint and what would be run; return the exit status.

    Raises:
        click.UsageError: for a function that can't be loaded.
    """
    records = arguments.records(take_stdin())
    function = arguments.load()
    checkpoint = arguments.checkpoint(function)
    assert checkpoint is not None  # noqa: S101  # the caller's duty
    size = arguments.settings.batch_size
    try:
        found = checkpoint.plan(function, records if size is None else batches(records, size))
    except (BrokenInputError, parallel.ParallelError) as error:
        click.echo(f"error: {error}", err=True)
        return SOME_FAILED
    click.echo(_in_words(checkpoint.path, found, "records" if size is None else "batches"))
    return 0


def _in_words(path: str, found: Any, unit: str) -> str:
    total = found.finished + found.retried + found.killed + found.new
    parts = [f"{found.finished:,} finished", f"{found.new:,} new"]
    if found.retried:
        parts.append(f"{found.retried:,} failed, to be tried again")
    if found.killed:
        parts.append(f"{found.killed:,} given up, since they were in flight at too many kills")
    lines = [f"{path}: {total:,} {unit}: {', '.join(parts)}"]
    if found.earlier:
        lines.append(f"{found.earlier:,} results were recorded with other code of the function")
    if found.gone:
        lines.append(f"{found.gone:,} results are of {unit} that are not in the input")
    return "\n".join(lines)
