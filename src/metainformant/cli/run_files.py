"""The files that tell of a run, checked before anything starts."""

from __future__ import annotations

import os

import click

from metainformant.core import parallel


def report_at(path: str | None) -> parallel.Report:
    """Return what is recorded of the run; without a path, for the summary alone.

    Raises:
        click.UsageError: if no report can be written there, as far as can be seen now.
    """
    try:
        return parallel.Report(path)
    except ValueError as error:
        raise _usage_error("--report", error) from None


def trace_at(path: str | None) -> str | None:
    """Return the path of a trace.

    Raises:
        click.UsageError: if none can be written there, as far as can be seen now.
    """
    if path is None:
        return None
    if not path.lower().endswith((".json.gz", ".json")):
        raise click.UsageError(
            f"--trace {path!r} must be the path of a file that ends in .json.gz or .json"
        )
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        raise click.UsageError(f"--trace {path!r}: there is no folder {folder!r}; make it first")
    return path


def checkpoint_at(path: str) -> str:
    """Return the path of a checkpoint.

    Raises:
        click.UsageError: if it is not one. What is there is seen when the run opens it.
    """
    try:
        parallel.Checkpoint(path)
    except ValueError as error:
        raise _usage_error("--checkpoint", error) from None
    return path


def _usage_error(option: str, error: ValueError) -> click.UsageError:
    """Say what the library says of an argument, by the name of the option."""
    _, _, said = str(error).partition("=")
    return click.UsageError(f"{option} {said}")
