"""The output: where rows go, in which format, and what must not be overwritten by them."""

from __future__ import annotations

import io
import os
import stat
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Any, NamedTuple

import click

from .compression import WRITTEN
from .inputs import COMPRESSED, SEQUENCE_FORMATS, SEQUENCE_SUFFIXES, Input
from .pairs_out import PairedSequences
from .records_out import Lines, Sequences
from .row_writer import RowFile
from .rows import JsonLines, Rows, Table

# Those whose rows have an index, a name, and failures; the others have results only.
TABLES = ("jsonl", "csv", "tsv", "sqlite", "parquet")
FORMATS = (*TABLES, "text", *SEQUENCE_FORMATS)
_NO_TEXT = ("sqlite", "parquet")
_SUFFIXES = {
    **{f".{name}": name for name in TABLES},
    ".ndjson": "jsonl",
    **dict.fromkeys((".db", ".sqlite3"), "sqlite"),
    ".pq": "parquet",
    **SEQUENCE_SUFFIXES,
}
# Suffixes of formats that other programs read: rows in such a file would be taken for damage.
_OTHER_FORMATS = """
    7z arrow avro bam bed br cram feather gff gff3 gtf h5
    h5ad hdf5 htm html json lz lz4 lzma lzo md mtx npy npz ods orc pdf pickle pkl py rds sam sz tar
    tgz vcf xls xlsx xml yaml yml z zarr zip
""".split()  # noqa: SIM905

STDOUT = "-"
# Names of descriptor 1, which has another file while functions run.
_NAMES_OF_STDOUT = (STDOUT, "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")


def is_stdout(path: str) -> bool:
    """Return whether the path is a name of standard output."""
    return path in _NAMES_OF_STDOUT


class WrittenFile(NamedTuple):
    """A file that a run writes.

    Attributes:
        path: where, or a name of standard output.
        role: what it is for: "output", "report", "trace" or "checkpoint".
    """

    path: str
    role: str


class OutputFormat(NamedTuple):
    """The form in which results are written.

    Attributes:
        name: one of `FORMATS`.
        rows: what makes rows of results.
        row_file: what makes of an empty file one of such rows; None if they are text.
    """

    name: str
    rows: Rows[Any]
    row_file: Callable[[FileIO], RowFile] | None = None


def output_format_of(output: str, chosen: str) -> str:
    """Return the format of the rows. `chosen` is a format or "auto", which goes by the name.

    Raises:
        click.UsageError: for a name that promises a format that cannot be written.
    """
    if not output:
        raise click.UsageError("-o '' names no file; leave it out for standard output")
    path = Path(output.lower())
    is_compressed = path.suffix in COMPRESSED
    if is_compressed:
        if path.suffix not in WRITTEN:
            raise click.UsageError(
                f"the output {output!r} can't be compressed so; name it {', '.join(WRITTEN)}, or "
                "pipe the rows into bgzip"
            )
        path = path.with_suffix("")
    suffix = path.suffix
    if chosen == "auto":
        chosen = _format_by(suffix, output)
    if chosen in _NO_TEXT and (is_compressed or is_stdout(output)):
        where = "in a compressed file" if is_compressed else "on standard output"
        raise click.UsageError(f"{chosen} can't be written {where}; name a file with -o FILE")
    return chosen


def _format_by(suffix: str, output: str) -> str:
    if suffix[1:] in _OTHER_FORMATS:
        raise click.UsageError(
            f"the output {output!r} would not be a {suffix} file: rows are written as "
            f"{', '.join(FORMATS)}; name the output so, or choose one with --output-format"
        )
    return _SUFFIXES.get(suffix, "jsonl")


def format_of_outputs(
    outputs: Sequence[str], chosen: str, *, quoting: bool, keep: Sequence[str], paired: bool
) -> OutputFormat:
    """Return how one output is written, or the two of pairs. See `format_named`.

    Raises:
        click.UsageError: if they can't be written so.
    """
    name = output_format_of(outputs[0], chosen)
    if paired and (len(outputs) > 1 or name in SEQUENCE_FORMATS):
        return _format_of_pairs(outputs, chosen)
    if len(outputs) > 1:
        raise click.UsageError("-o is given twice only for the sequences of --paired")
    return format_named(name, quoting=quoting, keep=keep)


def _format_of_pairs(outputs: Sequence[str], chosen: str) -> OutputFormat:
    """Return how pairs are written into two files.

    Raises:
        click.UsageError: if these can't be written.
    """
    names = {output_format_of(output, chosen) for output in outputs}
    if len(outputs) != 2 or len({os.path.realpath(output) for output in outputs}) != 2:
        raise click.UsageError("pairs of sequences need two files: -o R1 -o R2")
    if any(map(is_stdout, outputs)) or len(names) != 1 or not names <= set(SEQUENCE_FORMATS):
        raise click.UsageError("-o R1 -o R2 are both FASTA or both FASTQ files")
    name = names.pop()
    return OutputFormat(name, PairedSequences(with_qualities=name == "fastq"))


def format_named(name: str, *, quoting: bool, keep: Sequence[str] = ()) -> OutputFormat:
    """Return how a format is written.

    Args:
        name: one of `FORMATS`.
        quoting: whether cells of TSV may stand in quotes.
        keep: the columns of the input that rows have too.

    Raises:
        click.UsageError: if they can't have them, or a package for the format is missing.
    """
    if keep and name not in TABLES:
        raise click.UsageError(f"--keep is for {', '.join(TABLES)}; {name} has no columns")
    if name == "sqlite":
        from .database import DatabaseFile, DatabaseRows  # here, because most runs need no SQLite

        return OutputFormat(name, DatabaseRows(keep), DatabaseFile)
    if name == "parquet":
        from .parquet import ParquetFile, ParquetRows

        return OutputFormat(name, ParquetRows(keep), ParquetFile)
    return OutputFormat(name, _lines_of(name, quoting=quoting, keep=keep))


def _lines_of(name: str, *, quoting: bool, keep: Sequence[str]) -> Rows[str]:
    match name:
        case "csv":
            return Table(",", keep=keep)
        case "tsv":
            return Table("\t", quoting=quoting, keep=keep)
        case "text":
            return Lines()
        case "fasta" | "fastq":
            return Sequences(with_qualities=name == "fastq")
    return JsonLines(keep)


def refuse_overwriting(written: WrittenFile, inputs: Iterable[Input]) -> None:
    """Refuse a file that is also read, by whatever name or redirection, or has the messages.

    Raises:
        click.UsageError: if it does.
    """
    output, role = written
    target = _target(output)
    if target is None:
        return
    named = "standard output" if is_stdout(output) else repr(output)
    for entry in inputs:
        source = _regular_stdio("stdin") if entry.is_stdin else _regular_file(entry.path)
        if source is not None and os.path.samestat(source, target):
            raise click.UsageError(
                f"{named} is the input {entry.path!r} too; choose another file for the {role}"
            )
    messages = _regular_stdio("stderr")
    if not is_stdout(output) and messages and os.path.samestat(messages, target):
        raise click.UsageError(
            f"{named} has the messages (2> {output}); choose another file for the {role}"
        )


def refuse_writing_twice(files: Sequence[WrittenFile]) -> None:
    """Refuse files of which two are the same, by whatever names or redirection.

    Raises:
        click.UsageError: if two are.
    """
    for number, written in enumerate(files):
        for other in files[:number]:
            if _is_same_file(written.path, other.path):
                named = "standard output" if is_stdout(written.path) else repr(written.path)
                raise click.UsageError(
                    f"{named} is the {other.role} too; choose another file for one"
                )


def _is_same_file(one: str, other: str) -> bool:
    first, second = _target(one), _target(other)
    if first is not None and second is not None:
        return os.path.samestat(first, second)
    if is_stdout(one) or is_stdout(other):  # which is no file
        return False
    names = {os.path.normcase(os.path.realpath(path)) for path in (one, other)}
    return len(names) == 1  # it may not be there yet


def refuse_overwriting_code(written: WrittenFile) -> None:
    """Refuse a file of Python code that is in use, such as that of the function.

    Raises:
        click.UsageError: if it is.
    """
    output, role = written
    target = None if is_stdout(output) else _regular_file(output)
    if target is None:
        return
    for module in list(sys.modules.values()):
        code = _regular_file(getattr(module, "__file__", None) or "")
        if code is not None and os.path.samestat(code, target):
            raise click.UsageError(
                f"{output!r} has the Python code of {module.__name__!r}, which is in use; "
                f"choose another file for the {role}"
            )


def _target(path: str) -> os.stat_result | None:
    """Return the regular file that is written there; None if there is none."""
    return _regular_stdio("stdout") if is_stdout(path) else _regular_file(path)


def _regular_file(path: str) -> os.stat_result | None:
    with suppress(OSError, ValueError):
        found = os.stat(path)
        return found if stat.S_ISREG(found.st_mode) else None
    return None


def _regular_stdio(name: str) -> os.stat_result | None:
    stream = getattr(sys, name)
    with suppress(OSError, io.UnsupportedOperation):  # in memory
        found = None if stream is None else os.fstat(stream.fileno())
        return found if found and stat.S_ISREG(found.st_mode) else None
    return None
