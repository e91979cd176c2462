"""Results as themselves: text, FASTA and FASTQ, and compressed outputs."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from metainformant.cli.decompression import decompressed

Runner = Callable[..., Result]
FASTA = ">a first\nATGC\n>b\nGG\n>c\nNNN\n"
FASTQ = "@a first\nATGC\n+\nIIII\n@b\nGG\n+\n##\n"


@pytest.fixture(autouse=True)
def _functions() -> None:
    Path("out.py").write_text(
        "import dataclasses\n"
        "def same(record): return record\n"
        "def long(record):\n"
        "    if 'N' in record.sequence: raise ValueError('N')\n"
        "    return record if len(record) > 2 else None\n"
        "def trim(record):\n"
        "    return dataclasses.replace(\n"
        "        record, sequence=record.sequence[1:], qualities=record.qualities[1:])\n"
        "def letters(record): return record.sequence.lower()\n"
        "def parts(record): return [record.id, record.sequence, 'x' * len(record)]\n"
        "def number(record): return 7\n"
        "def two_lines(record): return 'A\\nB'\n"
        "def void(record): return None\n"
    )
    Path("in.fa").write_text(FASTA)
    Path("in.fq").write_text(FASTQ)


def test_text_is_what_the_function_returns(run: Runner) -> None:
    result = run("functions:picky", "--output-format", "text", input="a\nbad\nc\n")
    assert result.stdout == "A\nC\n"
    assert result.exit_code == 1
    assert "-:2: ValueError" in result.stderr
    assert run("functions:pair", "--output-format", "text", input="a\n").stdout == (
        '{"name": "a", "twice": "aa"}\n'
    )
    assert run("out:two_lines", "--output-format", "text", input="a\n").stdout == "A\nB\n"
    assert run("out:void", "--output-format", "text", input="a\n").stdout == "\n"


def test_filters_of_sequences(run: Runner) -> None:
    result = run("out:long", "in.fa", "-o", "out.fa")
    assert Path("out.fa").read_text() == ">a first\nATGC\n"
    assert result.stderr.startswith("3 records: 2 ok, 1 of them None, 1 failed")
    assert result.exit_code == 1
    assert run("out:same", "in.fq", "--output-format", "fastq").stdout == FASTQ
    assert run("out:same", "in.fa", "--output-format", "fasta").stdout == FASTA


def test_trimmers_and_other_forms_of_records(run: Runner) -> None:
    trimmed = run("out:trim", "in.fq", "--output-format", "fastq").stdout
    assert trimmed == "@a first\nTGC\n+\nIII\n@b\nG\n+\n#\n"
    letters = run("out:letters", "in.fa", "--output-format", "fasta").stdout
    assert letters == ">a\natgc\n>b\ngg\n>c\nnnn\n"
    assert run("out:parts", "in.fa", "--output-format", "fastq").stdout.startswith(
        "@a\nATGC\n+\nxxxx\n"
    )


@pytest.mark.parametrize(
    ("function", "format_", "message"),
    [
        ("number", "fasta", "the result is int; return a record as the function got it"),
        ("two_lines", "fasta", "have no line ends"),
        ("letters", "fastq", "FASTQ needs a quality for each letter, and there are 0 for 4"),
        ("same", "fastq", "or write FASTA"),
    ],
)
def test_what_is_no_record(run: Runner, function: str, format_: str, message: str) -> None:
    result = run(f"out:{function}", "in.fa", "--output-format", format_)
    assert (result.exit_code, result.stdout) == (1, "")
    assert message in result.stderr


def test_they_have_no_columns(run: Runner) -> None:
    result = run("out:same", "in.fa", "-o", "out.fa", "--keep", "name")
    assert result.exit_code == 2
    assert "fasta has no columns" in result.stderr


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return b"".join(decompressed(file.read, may_be_plain=False))


@pytest.mark.parametrize(
    ("suffix", "decompress"),
    [(".gz", gzip.decompress), (".bz2", bz2.decompress), (".xz", lzma.decompress), (".zst", None)],
)
def test_outputs_are_compressed_by_their_name(run: Runner, suffix: str, decompress: Any) -> None:
    path = f"out.csv{suffix}"
    text = "".join(f"{number}\n" for number in range(30_000))
    assert run("functions:same", "-o", path, input=text).exit_code == 0
    data = _read(path) if decompress is None else decompress(Path(path).read_bytes())
    lines = data.decode().splitlines()
    assert lines[0] == "index,name,value,error,message"
    assert len(lines) == 30_001
    assert Path(path).stat().st_size < len(data) / 2


def test_the_rows_of_a_run_that_stops_can_be_read(run: Runner) -> None:
    text = "1\nx\n2\n"
    arguments = ["functions:number", "--on-error", "stop", "-j", "1", "--chunk-size", "1"]
    run(*arguments, "-o", "out.csv.gz", input=text)
    assert not Path("out.csv.gz").exists()
    assert len(gzip.decompress(Path("out.csv.gz.part").read_bytes()).splitlines()) == 3
    run("functions:same", "-o", "other.csv.gz", input=b"\xff\n")
    assert not Path("other.csv.gz.part").exists()


def test_names_that_promise_something_else(run: Runner) -> None:
    result = run("functions:same", "-o", "out.tsv.bgz", input="a\n")
    assert result.exit_code == 2
    assert "can't be compressed so; name it .gz, .bz2, .xz, .zst, or pipe" in result.stderr
    result = run("functions:same", "-o", "out.arrow.gz", input="a\n")
    assert result.exit_code == 2
    assert "would not be a .arrow file" in result.stderr
