"""The surroundings of a run: streams, output file, progress, signals, summary."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import Any, BinaryIO, NamedTuple

import click

from metainformant.core import parallel

from .async_calls import AwaitedInFlight, AwaitedPerBatch, AwaitedPerRecord
from .calls import ImportedFunction, InFlight, PerBatch, PerRecord, prepare_worker
from .child_programs import terminate_child_programs
from .cluster import ClusterPlace
from .durability import Durability, changes_told
from .function import load_function
from .function_check import choose_backend
from .hints import limit_in_words
from .inputs import PATHS, Input
from .interrupt_handler import InterruptHandler
from .output import (
    OutputFormat,
    WrittenFile,
    is_stdout,
    refuse_overwriting,
    refuse_overwriting_code,
    refuse_writing_twice,
)
from .output_file import OutputFile
from .pairs import Pairs
from .pairs_out import PairedOutput, PairWriter
from .progress import display
from .records import Records
from .row_writer import RowWriter, Writer
from .run import BROKEN_PIPE, SOME_FAILED, Run, Settings
from .shell_command import ShellCommand
from .standard_streams import take_stdin, take_stdout
from .tally import Tally, rest
from .ticker import Ticker
from .visible import visible


class Arguments(NamedTuple):
    """The arguments of `metainformant map`, checked one by one."""

    function: str | ShellCommand
    inputs: list[Input]
    format: OutputFormat
    outputs: tuple[str, ...]
    settings: Settings
    durability: Durability | None
    progress: bool | None
    quiet: bool
    paired: bool = False
    cluster: ClusterPlace | None = None

    def records(self, stdin: BinaryIO) -> Records | Pairs:
        """Return the records to read."""
        if self.paired:
            return Pairs(self.inputs, stdin)
        return Records(self.inputs, stdin, self.settings.kept)

    def replaced(self) -> list[WrittenFile]:
        """Return the files whose content the run replaces by its own."""
        options = self.settings.map_options
        paths = [
            *((output, "output") for output in self.outputs),
            (options["report"].path, "report"),
            (options["trace"], "trace"),
        ]
        return [WrittenFile(path, role) for path, role in paths if path is not None]

    def refuse_overwriting(self) -> None:
        """See that no file is written that is read, or written twice.

        Raises:
            click.UsageError: if one is.
        """
        files = self.replaced()
        if self.durability is not None:
            files.insert(0, WrittenFile(self.durability.path, "checkpoint"))
        for written in files:
            refuse_overwriting(written, self.inputs)
        refuse_writing_twice(files)

    def output_file(self) -> OutputFile | PairedOutput | None:
        """Create what is written; None for standard output."""
        keeps_part = self.durability is None
        if len(self.outputs) == 2:
            return PairedOutput(self.outputs, keeps_part=keeps_part)
        (output,) = self.outputs
        if is_stdout(output):
            return None
        return OutputFile(output, keeps_part=keeps_part, row_file=self.format.row_file)

    def load(self) -> Any:
        """Return the function, or what runs the command.

        Raises:
            click.UsageError: if there is no such function.
        """
        if isinstance(self.function, ShellCommand):
            return self.function
        return load_function(self.function)

    def choose_backend(self, function: Any) -> None:
        """Choose the kind of workers by the function, unless it was chosen before.

        Raises:
            click.UsageError: if the one that was chosen does not suit it.
        """
        options = self.settings.map_options
        options["backend"] = choose_backend(str(self.function), function, options["backend"])

    def checkpoint(self, function: Any) -> parallel.Checkpoint | None:
        """Return where outcomes of this function are kept."""
        if self.durability is None:
            return None
        return self.durability.checkpoint(
            function,
            str(self.function),
            are_paths=all(entry.format == PATHS for entry in self.inputs),
            in_batches=self.settings.batch_size is not None,
        )


class Session:
    """One run and its surroundings. Call it once, in the main thread.

    Raises:
        click.UsageError: for arguments that do not fit together, before anything is started.
    """

    def __init__(self, arguments: Arguments) -> None:
        self._arguments = arguments
        arguments.refuse_overwriting()
        to_stdout = any(map(is_stdout, arguments.outputs))
        if sys.stdout is None and to_stdout:
            raise click.UsageError("standard output is closed; use -o FILE")
        wants_display = _wants_display(arguments.progress, arguments.inputs)
        rows_in_terminal = to_stdout and sys.stdout.isatty() and sys.stderr.isatty()
        stdin, stdout = take_stdin(), take_stdout()
        function = arguments.load()  # for processes, to see that it is there
        arguments.choose_backend(function)
        for written in arguments.replaced():
            refuse_overwriting_code(written)
        arguments.settings.map_options["checkpoint"] = arguments.checkpoint(function)
        self._output_file = arguments.output_file()
        self._records, self._tally = arguments.records(stdin), Tally()
        self._display = display(self._tally, self._records, _print) if wants_display else None
        if self._display:
            arguments.settings.map_options["progress"] = self._tally.report
        self._writer: Writer[Any] | PairWriter
        if self._output_file:
            self._writer = self._output_file.writer
        else:
            show = self._display.show if self._display and rows_in_terminal else None
            self._writer = RowWriter(stdout, show)
        self._interrupts = InterruptHandler(self._is_idle, self._say, self._last_words)
        self._in_flight: InFlight | None = None
        call = self._call(function)
        self._run = Run(
            call,
            self._records,
            arguments.settings,
            arguments.format.rows,
            self._writer,
            self._tally,
            self._say,
        )

    def __call__(self) -> int:
        """Run; return the exit status."""
        with self._output_file or nullcontext():
            display, changes = self._display or nullcontext(), changes_told(self._say)
            with self._workers(), self._interrupts, Ticker(self._tick), display, changes:
                status = self._run(self._interrupts)
            if self._output_file is not None:
                status = self._close(self._output_file, status)
        self._end_child_programs()
        if not self._arguments.quiet and status != BROKEN_PIPE:
            self._summarize()
        return status

    @contextmanager
    def _workers(self) -> Iterator[None]:
        """Connect to the cluster, if the run has one; standard output is ours alone by now."""
        if self._arguments.cluster is None:
            yield
            return
        with self._arguments.cluster.connected() as backend:
            self._arguments.settings.map_options["backend"] = backend
            yield

    def _call(self, function: Any) -> Any:
        """Return what the map calls with records or batches."""
        settings = self._arguments.settings
        if isinstance(function, ShellCommand):  # which takes the record, for its name
            self._in_flight = InFlight(function, lambda: self._interrupts.stopping)
            return self._in_flight
        per: Any = PerRecord if settings.batch_size is None else PerBatch
        if self._arguments.cluster is not None:
            return per(ImportedFunction(str(self._arguments.function), os.getcwd()))
        in_flight = InFlight
        if settings.map_options["backend"] == "asyncio":
            per = AwaitedPerRecord if settings.batch_size is None else AwaitedPerBatch
            in_flight = AwaitedInFlight
        if settings.map_options["backend"] == "process":
            settings.map_options["initializer"] = prepare_worker
            return per(ImportedFunction(str(self._arguments.function)))
        self._in_flight = in_flight(per(function), lambda: self._interrupts.stopping)
        return self._in_flight

    def _is_idle(self) -> bool:
        # Calls that were abandoned may still run; records that wait have no call. What runs in
        # processes can't be seen from here.
        if self._records.count == self._tally.seen:
            return True
        return self._in_flight is not None and self._in_flight.is_idle()

    def _tick(self) -> None:
        try:
            self._writer.flush(wait=False)
        except OSError:
            self._interrupts.cancel.set()  # the main thread meets the same error at its next row
        if self._display:
            with suppress(OSError):
                self._display.update()

    def _last_words(self) -> None:
        with suppress(OSError):
            self._writer.flush()
        if self._display:
            self._display.stop()
        if self._output_file:
            _print(self._output_file.whereabouts())
        if self._arguments.durability is not None:
            _print(self._arguments.durability.hint())
        self._end_child_programs()

    def _end_child_programs(self) -> None:
        """End the programs that abandoned calls in threads still wait for."""
        if isinstance(self._arguments.function, ShellCommand):
            self._arguments.function.groups.terminate()
        if self._in_flight:
            terminate_child_programs()

    def _close(self, output_file: OutputFile | PairedOutput, status: int) -> int:
        is_complete = self._run.is_complete
        try:
            output_file.close(whole=is_complete)
        except OSError as error:
            _print(f"error: the output can't be written: {error.strerror}")
            is_complete, status = False, status or SOME_FAILED
        if not is_complete:
            _print(output_file.whereabouts())
        return status

    def _summarize(self) -> None:
        records, tally = self._records, self._tally
        _print(tally.in_words())
        if not self._run.is_complete:
            is_all_read = records.ended or records.broken  # of the latter, an error was printed
            expected = records.expected()
            if said := rest(records.count, tally.seen, is_all_read=is_all_read, expected=expected):
                _print(said)
            if self._arguments.durability is not None and tally.seen:
                _print(self._arguments.durability.hint())
        if failures := tally.failures.in_words():
            _print(failures)
        limit = self._arguments.settings.map_options["report"].limit
        if hint := limit_in_words(limit):
            _print(hint)

    def _say(self, line: str) -> None:
        if self._display:
            self._display.say(_shown(line))
        else:
            _print(line)


def _print(line: str) -> None:
    with suppress(OSError):  # nobody reads it
        click.echo(_shown(line), err=True)


def _shown(lines: str) -> str:
    return visible(lines, keep="\n\t")


def _wants_display(chosen: bool | None, inputs: list[Input]) -> bool:
    if chosen is not None:
        return chosen
    typed = any(entry.is_stdin for entry in inputs) and sys.stdin.isatty()
    return sys.stderr is not None and sys.stderr.isatty() and not typed
