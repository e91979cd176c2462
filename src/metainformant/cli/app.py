"""The commands and their options."""

from __future__ import annotations

from typing import Any, Literal

import click

from .checkpoints import checkpoint_group
from .cluster import cluster_place
from .dry_run import plan
from .durability import Durability
from .function import parts_of
from .grouped_help import GroupedCommand
from .inputs import FORMATS, PATHS, SEQUENCE_FORMATS, format_for_command, resolve
from .interrupt_handler import INTERRUPTED
from .kept import Kept
from .live_page import tell_live_page
from .option_types import COUNT, MOST, SECONDS, FailureLimit, finite
from .output import FORMATS as ROW_FORMATS
from .output import STDOUT, format_of_outputs
from .pairs import check_pair
from .run import OnError, Settings
from .run_files import checkpoint_at, report_at, trace_at
from .session import Arguments, Session
from .shell_command import ShellCommand, shell_command
from .workers import WorkerCount


def main() -> int:
    """Run the command line; return the exit status."""
    try:
        status: int = cli.main(prog_name="metainformant", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        click.echo("interrupted", err=True)
        return INTERRUPTED
    return status


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="metainformant", prog_name="metainformant")
def cli() -> None:
    """Tools for people who process sequences, files and requests by the thousand."""


@cli.command("map", cls=GroupedCommand, context_settings={"max_content_width": 100})
@click.argument("function", required=False)
@click.argument("inputs", nargs=-1, metavar="[INPUT]...")
@click.option(
    "--command",
    metavar="TEXT",
    help="Run a command of the shell for each record, in place of FUNCTION; {} is the record.",
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["auto", *FORMATS, PATHS]),
    default="auto",
    help="What the inputs hold; by default their names tell, and stdin is lines.",
)
@click.option(
    "--paired", is_flag=True, help="Read two INPUTs in step; the function gets pairs of records."
)
@click.option("--quoting", is_flag=True, help="TSV has cells in quotes, as CSV may have.")
@click.option(
    "--backend",
    type=click.Choice(["thread", "process", "asyncio", "dask", "ray"]),
    help="Processes are for pure Python computation, and for code that may crash; dask and ray are "
    "for the workers of a cluster. By default thread, and asyncio for an async function.",
)
@click.option(
    "--cluster",
    metavar="WHERE",
    help="For dask: tcp://HOST:8786, or the scheduler file FILE.json; for ray: auto, or HOST:PORT. "
    "local:N starts N workers on this machine.",
)
@click.option(
    "-j",
    "--workers",
    "--jobs",
    "--threads",
    "-p",
    "workers",
    type=WorkerCount(MOST),
    help="Threads, 8 by default, or processes, by default one per processor: a count, 50% of the "
    "processors, or +2 more than those. Calls in flight of an async function, 100 by default. "
    "auto finds out how many calls at a time are best.",
)
@click.option("--timeout", type=SECONDS, callback=finite, help="Seconds that one call may take.")
@click.option(
    "--deadline", type=SECONDS, callback=finite, help="Seconds that the whole run may take."
)
@click.option(
    "--retries",
    type=click.IntRange(min=0, max=MOST),
    default=0,
    show_default=True,
    help="Further attempts for a record whose call failed or took too long.",
)
@click.option(
    "--backoff",
    type=click.FloatRange(min=0),
    default=0.1,
    show_default=True,
    callback=finite,
    help="Seconds before the first retry, at most; doubled for each further one, up to a minute.",
)
@click.option("--rate", type=SECONDS, callback=finite, help="Calls started per second, at most.")
@click.option(
    "--max-failures",
    type=FailureLimit(),
    help="Stop once more records than this have failed: a count, or a share such as 5%.",
)
@click.option("--chunk-size", type=COUNT, help="Records handed over together.")
@click.option(
    "--batch-size", type=COUNT, help="Call the function with lists of up to so many records."
)
@click.option(
    "--buffer",
    type=COUNT,
    help="Records that may be read and not yet written; by default 32768, or 512 per worker.",
)
@click.option("--unordered", is_flag=True, help="Write rows as they come, not in input order.")
@click.option(
    "--on-error",
    type=click.Choice(["record", "skip", "stop"]),
    default="record",
    show_default=True,
    help="Write a row for a failure, write none, or stop.",
)
@click.option(
    "--traceback",
    "with_traceback",
    is_flag=True,
    help="Show where functions failed: in JSON Lines and the summary.",
)
@click.option(
    "--checkpoint",
    metavar="FILE",
    help="Keep outcomes in FILE, so that the same command goes on after a kill.",
)
@click.option(
    "--on-change",
    type=click.Choice(["warn", "accept", "rerun"]),
    default="warn",
    show_default=True,
    help="What to do about outcomes in the checkpoint that other code of the function has.",
)
@click.option(
    "--keep-failures",
    is_flag=True,
    help="Take failures from the checkpoint too; by default they are tried again.",
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Say what is in the checkpoint and what would be run, and run nothing.",
)
@click.option(
    "--keep",
    metavar="COLUMN,...",
    help="Columns of the input that rows have too.",
)
@click.option("--drop-none", is_flag=True, help="Write no row where the result is None.")
@click.option(
    "-o",
    "--output",
    "outputs",
    multiple=True,
    default=[STDOUT],
    metavar="FILE",
    help="Instead of stdout; twice for the two files of --paired.",
)
@click.option(
    "--output-format",
    type=click.Choice(["auto", *ROW_FORMATS]),
    default="auto",
    help="By default the name of the output tells, else jsonl.",
)
@click.option(
    "--progress/--no-progress",
    default=None,
    help="A progress bar on stderr; by default only in a terminal.",
)
@click.option(
    "--report",
    metavar="FILE",
    help="Write what happened and what limited the run to FILE, as .html or .json.",
)
@click.option(
    "--trace", metavar="FILE", help="Write a trace for Perfetto to FILE, as .json.gz or .json."
)
@click.option(
    "--live", is_flag=True, help="Show the report while it grows, on a page of this machine."
)
@click.option("--quiet", is_flag=True, help="No summary at the end.")
@click.pass_context
def map_command(
    context: click.Context,
    function: str | None,
    inputs: tuple[str, ...],
    command: str | None,
    format_: str,
    quoting: bool,
    paired: bool,
    backend: Literal["thread", "process", "asyncio", "dask", "ray"] | None,
    cluster: str | None,
    workers: int | Literal["auto"] | None,
    timeout: float | None,
    deadline: float | None,
    retries: int,
    backoff: float,
    rate: float | None,
    max_failures: float | None,
    chunk_size: int | None,
    batch_size: int | None,
    buffer: int | None,
    unordered: bool,
    on_error: OnError,
    with_traceback: bool,
    checkpoint: str | None,
    on_change: Literal["warn", "accept", "rerun"],
    keep_failures: bool,
    dry_run: bool,
    keep: str | None,
    drop_none: bool,
    outputs: tuple[str, ...],
    output_format: str,
    progress: bool | None,
    report: str | None,
    trace: str | None,
    live: bool,
    quiet: bool,
) -> None:
    """Call a Python FUNCTION with every record of the INPUTs, in parallel.

    FUNCTION is module:name or path/to/file.py:name. INPUT is a file, or - for standard input,
    which is also the default. A function that fails on a record costs only that record.

    \b
    metainformant map examples/sequences.py:profile examples/data/ls_orchid.fasta -o orchids.tsv
    ls | metainformant map string:capwords
    """  # noqa: D301  # for click it has to be that character
    options: dict[str, Any] = {
        "backend": backend,
        "max_workers": workers,
        "timeout": timeout,
        "deadline": deadline,
        "retries": retries,
        "backoff": backoff,
        "rate": rate,
        "max_failures": max_failures,
        "chunk_size": chunk_size,
        "ordered": not unordered,
        "report": report_at(report),
        "trace": trace_at(trace),
        "live": live,
    }
    if workers == "auto" and backend not in (None, "thread", "asyncio"):
        raise click.UsageError(
            "-j auto is for threads and async functions; other workers take a processor each"
        )
    if checkpoint is None and (dry_run or keep_failures):
        option = "--dry-run" if dry_run else "--keep-failures"
        raise click.UsageError(f"{option} needs --checkpoint FILE")
    called: str | ShellCommand
    if command is not None:
        if backend not in (None, "thread") or batch_size is not None:
            option = "--batch-size" if batch_size is not None else f"--backend {backend}"
            raise click.UsageError(f"--command runs a program for each record; leave {option} out")
        inputs = inputs if function is None else (function, *inputs)
        called = shell_command(command, timeout)
        format_ = format_for_command(inputs, format_)
    elif function is None:
        raise click.UsageError("name a FUNCTION, or a command of the shell with --command")
    else:
        parts_of(function)  # before INPUTs are looked for: one may stand in its place
        called = function
    files = resolve(inputs, format_, quoting=quoting)
    columns = [] if keep is None else list(dict.fromkeys(keep.split(",")))
    if paired:
        if command is not None or columns:
            raise click.UsageError("--paired goes with neither --command nor --keep")
        check_pair(files)
    row_format = format_of_outputs(
        outputs, output_format, quoting=quoting, keep=columns, paired=paired
    )
    arguments = Arguments(
        called,
        files,
        row_format,
        outputs,
        Settings(
            options,
            batch_size,
            buffer,
            on_error,
            with_traceback,
            drop_none or row_format.name in SEQUENCE_FORMATS,
            Kept(columns, files) if columns else None,
        ),
        None
        if checkpoint is None
        else Durability(checkpoint_at(checkpoint), on_change, keep_failures),
        progress,
        quiet,
        paired,
        cluster_place(backend, cluster),
    )
    if live:
        context.call_on_close(tell_live_page())
    context.exit(plan(arguments) if dry_run else Session(arguments)())


cli.add_command(checkpoint_group)
