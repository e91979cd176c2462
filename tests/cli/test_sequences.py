"""FASTA and FASTQ: every whole record before trouble is kept, and the trouble is named."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

Run = Callable[..., Result]
FASTA = "".join(f">r{number}\nACGT\n" for number in range(500))
FASTQ = "".join(f"@r{number}\nACGT\n+\nIIII\n" for number in range(500))
ALL = """
def everything(record):
    return [record.id, record.name, record.sequence, record.qualities, len(record)]
"""


def read(run: Run, name: str, data: bytes | str) -> tuple[list[Any], Result]:
    Path("all.py").write_text(ALL)
    Path(name).write_bytes(data if isinstance(data, bytes) else data.encode())
    result = run("all.py:everything", name)
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert all(row["name"] == row["value"][0] for row in rows)
    return [row["value"] for row in rows], result


@pytest.mark.parametrize("backend", ["thread", "process"])
def test_what_functions_get(run: Run, backend: str) -> None:
    Path("all.py").write_text(ALL)
    Path("a.fq").write_text("@r1 of two\nAC\n+\nII\n@\n\n+\n\n")
    result = run("all.py:everything", "a.fq", "--backend", backend, "-j", "1")
    assert [json.loads(line)["value"] for line in result.stdout.splitlines()] == [
        ["r1", "r1 of two", "AC", "II", 2],
        ["", "", "", "", 0],
    ]


@pytest.mark.parametrize(
    ("name", "before", "trouble"),
    [("a.fa", FASTA, ">x Örebro\nACGT\n"), ("a.fq", FASTQ, "@x Örebro\nACGT\n+\nIIII\n")],
)
def test_headers_may_be_any_text(run: Run, name: str, before: str, trouble: str) -> None:
    found, result = read(run, name, before + trouble + before)
    assert result.exit_code == 0, result.stderr
    assert len(found) == 1001
    assert found[500][:2] == ["x", "x Örebro"]


@pytest.mark.parametrize(
    ("name", "before", "trouble", "line"),
    [
        ("a.fa", FASTA, ">x Örebro\nACGT\n>y\nA\n", 1001),
        ("a.fq", FASTQ, "@x Örebro\nACGT\n+\nIIII\n", 2001),
        ("a.fa", FASTA, ">x\nACGTÖ\n", 1002),
        ("a.fq", FASTQ, "@x\nACGT\n+\nIIIÖ\n", 2004),
    ],
)
def test_latin_1_costs_no_record_before_it(
    run: Run, name: str, before: str, trouble: str, line: int
) -> None:
    found, result = read(run, name, (before + trouble).encode("latin-1"))
    assert [entry[0] for entry in found] == [f"r{number}" for number in range(500)]
    assert f"error: {name}: line {line}: byte 0xd6 is not UTF-8; " in result.stderr
    assert result.exit_code == 1


@pytest.mark.parametrize(
    ("name", "data", "found"),
    [
        ("a.fa", "\ufeff>x\nAC\n", [("x", "AC", None)]),
        ("a.fq", "\ufeff@x\nAC\n+\nII\n", [("x", "AC", "II")]),
        ("a.fa", "\n>x\r\nAC\r\n\r\nGT \n\n", [("x", "ACGT", None)]),
        ("a.fa", "# made by hand\n>x\nAC", [("x", "AC", None)]),
        ("a.fq", "@x\nAC\n+\nII\n\n\n", [("x", "AC", "II")]),
        ("a.fq", "\n@x\nAC\n+\nII\n\n@y\nG\n+\n@", [("x", "AC", "II"), ("y", "G", "@")]),
        (
            "a.fq",
            "@x\r\nAC\r\n+x\r\nII\r\n@y\r\nG\r\n+\r\nI\r\n",
            [("x", "AC", "II"), ("y", "G", "I")],
        ),
        ("a.fq", "@x\nACG\nT\n+\n@II\n+\n@y\nA\n+\nI\n", [("x", "ACGT", "@II+"), ("y", "A", "I")]),
        ("a.fq", "@x\nACG\nT\n+\nIIII\n@y\nA\n+\nI\n", [("x", "ACGT", "IIII"), ("y", "A", "I")]),
    ],
)
def test_other_ways_to_write_them(
    run: Run, name: str, data: str, found: list[tuple[str, str, str | None]]
) -> None:
    values, result = read(run, name, data)
    assert result.exit_code == 0, result.stderr
    assert [(entry[0], entry[2], entry[3]) for entry in values] == found


@pytest.mark.parametrize(
    ("data", "good", "message"),
    [
        ("@x\nAC\n+\nII\n>y\nAC\n", 1, "line 5: expected '@' at the start of a record"),
        ("@x\nAC\n+\nII\n@y\nAC\n@z\nA\n", 1, "line 7: expected '+' after the letters of 'y'"),
        ("@x\nAC\n+y\nII\n", 0, "line 3: '+y' does not repeat the header 'x'"),
        ("@x\nAC\n+\nI\n@y\nAC\n+\nII\n", 0, "line 4: the record 'x' has 2 letters, but 1 qual"),
        ("@x\nAC\n+\nIII\n", 0, "line 4: the record 'x' has 2 letters, but 3 qualities"),
        ("@x\nAC\n+\nII\n@y\nACG\nT\n+\nII\n", 1, "line 9: the file ends within the record 'y'"),
        ("@x\nAC\n+\n", 0, "line 3: the file ends within the record 'x'"),
    ],
)
def test_broken_fastq_is_named(run: Run, data: str, good: int, message: str) -> None:
    found, result = read(run, "a.fq", data)
    assert len(found) == good
    assert f"error: a.fq: {message}" in result.stderr


@pytest.mark.parametrize(
    ("name", "text", "lines"), [("a.fa.gz", FASTA, 1000), ("a.fq.gz", FASTQ, 2000)]
)
@pytest.mark.parametrize("tail", [b"something else", b"\x1f", b"\0\0x"])
def test_bytes_behind_gzip_data_cost_no_record(
    run: Run, name: str, text: str, lines: int, tail: bytes
) -> None:
    found, result = read(run, name, gzip.compress(text.rstrip().encode()) + tail)
    assert len(found) == 500
    assert result.exit_code == 1
    what = "can't be read: there is something else behind its gzip data"
    assert f"error: {name}: line {lines + 1}: {what}" in result.stderr


def test_a_file_cut_off_keeps_what_can_be_decompressed(run: Run) -> None:
    packed = gzip.compress(FASTQ.encode())
    whole = gzip.compress(b"@whole\nAC\n+\nII\n")
    found, result = read(run, "a.fq.gz", whole + packed[: len(packed) // 2])
    assert found[0][0] == "whole"
    assert 100 < len(found) < 501
    assert "can't be read: it ends within its gzip data" in result.stderr
