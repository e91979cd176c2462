"""`metainformant checkpoint`: what is in checkpoints, for people and for other programs."""

from __future__ import annotations

import errno
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path
from typing import Any, Literal, TypeVar, cast, get_args

import click

from metainformant.core import parallel

from .checkpoint_text import failure_in_words, status_in_words
from .output import STDOUT, is_stdout
from .run import BROKEN_PIPE, SOME_FAILED
from .visible import visible

_Command = TypeVar("_Command", bound=Callable[..., Any])
_Format = Literal["jsonl", "csv", "parquet"]

_FORMATS: dict[str, _Format] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".parquet": "parquet",
}


class _Refusal(click.ClickException):
    """A reason why something can't be done, in one line."""

    def __init__(self, message: str) -> None:
        super().__init__(visible(message))


class _UsageRefusal(_Refusal):
    """Arguments that can't be."""

    exit_code = 2


def _choose_run(command: _Command) -> _Command:
    """Add the options that choose a run."""
    for option in (
        click.option("--run-version", metavar="VERSION", help="Only runs with this version."),
        click.option("--run", metavar="NAME", help="Only the run of this name."),
    ):
        command = option(command)
    return command


_output_format = click.option(
    "--output-format",
    type=click.Choice(["auto", *get_args(_Format)]),
    default="auto",
    help="By default the name of the output tells; jsonl for stdout.",
)


@click.group("checkpoint")
@click.pass_context
def checkpoint_group(context: click.Context) -> None:
    """Look into checkpoints, the files of durable runs; also while a run writes them."""
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        with suppress(ValueError):  # not the main thread, which alone gets signals
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                previous = signal.signal(number, _end)
                context.call_on_close(
                    lambda number=number, old=previous: signal.signal(number, old)
                )


@checkpoint_group.command("status")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@_choose_run
@click.pass_context
def status_command(
    context: click.Context, files: tuple[str, ...], run: str | None, run_version: str | None
) -> None:
    """Say what is in each FILE, and who writes it now."""
    failed = 0
    for file in files:
        try:
            with _refusals():
                status = _checkpoint(file, run, run_version).status()
                click.echo(status_in_words(file, status))
        except _Refusal as refusal:  # the other files may be all right
            refusal.show()
            failed = max(failed, refusal.exit_code)
    context.exit(failed)


@checkpoint_group.command("failures")
@click.argument("file", metavar="FILE")
@_choose_run
@click.option("--traceback", "with_traceback", is_flag=True, help="Show where they failed.")
@click.option("-o", "--output", metavar="OUT", help="Write them to a file, for other programs.")
@_output_format
def failures_command(
    file: str,
    run: str | None,
    run_version: str | None,
    with_traceback: bool,
    output: str | None,
    output_format: str,
) -> None:
    """Print a line for each item of FILE that has failed, as last recorded."""
    with _refusals():
        checkpoint = _checkpoint(file, run, run_version)
        if output is not None or output_format != "auto":
            _export(checkpoint, output or STDOUT, output_format, failures=True)
            return
        counts: dict[str, int] = {}
        for entry in checkpoint.failures():
            name = entry.run if entry.version is None else f"{entry.run}, version {entry.version}"
            counts[name] = counts.get(name, 0) + 1
            click.echo(failure_in_words(entry, with_traceback=with_traceback))
        _flush()
        for name, count in counts.items():
            click.echo(f"{count:,} failed: {visible(name)}", err=True)
        if not counts:
            click.echo("no item has failed", err=True)


@checkpoint_group.command("export")
@click.argument("file", metavar="FILE")
@click.option("-o", "--output", default=STDOUT, metavar="OUT", help="Instead of stdout.")
@_output_format
@_choose_run
@click.option(
    "--allow-pickle",
    is_flag=True,
    help="Load pickled values, which may run code: only for files that you trust. Otherwise they "
    'are "<pickled>".',
)
@click.option(
    "--skip-damaged", is_flag=True, help="Leave out what is damaged; the exit status is still 1."
)
@click.pass_context
def export_command(
    context: click.Context,
    file: str,
    output: str,
    output_format: str,
    run: str | None,
    run_version: str | None,
    allow_pickle: bool,
    skip_damaged: bool,
) -> None:
    """Write the last outcome of every item of FILE as JSON Lines, CSV or Parquet."""
    with _refusals():
        checkpoint = _checkpoint(file, run, run_version)
        if allow_pickle:
            sys.path.insert(0, str(Path.cwd()))  # where the classes of values may be
        options = {"allow_pickle": allow_pickle, "skip_damaged": skip_damaged}
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", parallel.CheckpointWarning)
            _export(checkpoint, output, output_format, **options)
    for warning in caught:
        click.echo(f"Warning: {visible(str(warning.message))}", err=True)
    if any(issubclass(each.category, parallel.CheckpointWarning) for each in caught):
        context.exit(SOME_FAILED)


@checkpoint_group.command("merge")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("-o", "--output", required=True, metavar="MERGED", help="The file to make.")
def merge_command(files: tuple[str, ...], output: str) -> None:
    """Make one checkpoint out of the FILEs, those of an array job, say.

    Of several outcomes of one item, the one that was recorded last counts.
    """
    with _refusals():
        if is_stdout(output):
            raise _UsageRefusal("a checkpoint can't be written to standard output; name a file")
        for file in files:
            _checkpoint(file)
        count = parallel.Checkpoint(output).merge(*files)
        words = f"{count:,} outcomes of {len(files):,} files are in {visible(output)}"
        click.echo(words, err=True)


def _checkpoint(
    file: str, run: str | None = None, run_version: str | None = None
) -> parallel.Checkpoint:
    if not os.path.exists(file):
        raise _UsageRefusal(f"there is no checkpoint {file!r}")
    return parallel.Checkpoint(file, name=run, version=run_version)


def _export(
    checkpoint: parallel.Checkpoint, output: str, output_format: str, **options: bool
) -> None:
    chosen = _format_of(output, output_format)
    if not is_stdout(output):
        checkpoint.export(output, format=chosen, **options)
        return
    if chosen == "parquet":
        raise _UsageRefusal("Parquet can't be written to standard output; name a file by -o")
    stdout: Any = sys.stdout or open(os.devnull, "w")  # noqa: SIM115  # it may be closed
    if hasattr(stdout, "reconfigure"):
        stdout.reconfigure(encoding="utf-8", newline="")
    with redirect_stdout(sys.stderr):  # whatever is printed as a pickle is loaded
        checkpoint.export(stdout, format=chosen, **options)


def _format_of(output: str, chosen: str) -> _Format:
    if chosen in get_args(_Format):
        return cast(_Format, chosen)
    if is_stdout(output):
        return "jsonl"
    suffix = Path(output).suffix.lower()
    if suffix not in _FORMATS:
        raise _UsageRefusal(
            f"the output {output!r} must end in .jsonl, .csv or .parquet; or choose the format by "
            "--output-format"
        )
    return _FORMATS[suffix]


@contextmanager
def _refusals() -> Iterator[None]:
    """Turn what can't be done into one line, and end quietly when nobody reads the output."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        yield
        _flush()
    except parallel.CheckpointError as error:
        raise _Refusal(str(error)) from None
    except (ValueError, ModuleNotFoundError) as error:
        raise _UsageRefusal(str(error)) from None
    except OSError as error:
        _drop_stdout()
        if error.errno == errno.EPIPE:
            raise click.exceptions.Exit(BROKEN_PIPE) from None
        what = error.filename or "the output"
        raise _Refusal(f"{what} can't be written: {error.strerror}") from None


def _flush() -> None:
    if sys.stdout is not None:
        sys.stdout.flush()


def _drop_stdout() -> None:
    """Let what is still buffered go to the null device, so that the exit does not complain."""
    with suppress(OSError, AttributeError):  # it is in memory, or closed
        descriptor = sys.stdout.fileno()
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, descriptor)
        os.close(null)


def _end(number: int, _frame: object) -> None:
    """End in order, so that no half-written file is left."""
    raise SystemExit(128 + number)
