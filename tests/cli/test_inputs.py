from __future__ import annotations

import bz2
import gzip
import json
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

FASTQ = "@r1 first\nACGT\n+\nIIII\n@r2\nAC\n+\n!!\n"


def rows(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def pairs(result: Result) -> list[tuple[str, Any]]:
    assert result.exit_code == 0, result.stderr
    return [(row["name"], row["value"]) for row in rows(result)]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.txt", "x\r\n\n y", [("a.txt:1", "x"), ("a.txt:2", ""), ("a.txt:3", " y")]),
        ("a.txt", "\ufeffx\n", [("a.txt:1", "x")]),
        ("a.jsonl", '1\n\n{"b": []}\n', [("a.jsonl:1", 1), ("a.jsonl:3", {"b": []})]),
        ("a.NDJSON", "null\n", [("a.NDJSON:1", None)]),
        (
            "a.csv",
            'k,v\n1,"two\nlines"\n\n3,4\n',
            [("a.csv:2", {"k": "1", "v": "two\nlines"}), ("a.csv:5", {"k": "3", "v": "4"})],
        ),
        ("a.tsv", "k\tv\n1\ta,b\n", [("a.tsv:2", {"k": "1", "v": "a,b"})]),
        (
            "a.tsv",
            'k\tv\r\n1\t"open\n\n2\t5\' and 3"\n',
            [("a.tsv:2", {"k": "1", "v": '"open'}), ("a.tsv:4", {"k": "2", "v": "5' and 3\""})],
        ),
    ],
)
def test_text_formats(run: Callable[..., Result], name: str, text: str, expected: object) -> None:
    Path(name).write_text(text, encoding="utf-8", newline="")
    assert pairs(run("functions:same", name)) == expected


def test_quoting_in_tsv_is_for_those_who_ask(run: Callable[..., Result]) -> None:
    Path("a.tsv").write_text('k\tv\n"1"\t"two\nlines and\ta ""tab"""\n')
    result = run("functions:same", "--quoting", "a.tsv")
    assert pairs(result) == [("a.tsv:2", {"k": "1", "v": 'two\nlines and\ta "tab"'})]
    Path("a.tsv").write_text('k\tv\n1\t"a\tb"\n')
    assert "add --quoting if cells stand in quotes" in run("functions:same", "a.tsv").stderr


@pytest.mark.parametrize("name", ["a.fa", "a.fasta", "a.fna", "a.faa", "a.ffn", "a.frn"])
def test_fasta(run: Callable[..., Result], name: str) -> None:
    Path(name).write_text(">s1 first one\nAC\nGT\n>empty\n>s2\nA\n")
    assert pairs(run("functions:first_last", name)) == [
        ("s1", ["s1 first one", "ACGT"]),
        ("empty", ["empty", ""]),
        ("s2", ["s2", "A"]),
    ]


@pytest.mark.parametrize("name", ["a.fq", "a.fastq"])
def test_fastq(run: Callable[..., Result], name: str) -> None:
    Path(name).write_text(FASTQ)
    assert pairs(run("functions:qualities", name)) == [("r1", "IIII"), ("r2", "!!")]


@pytest.mark.parametrize(
    ("suffix", "compress"), [("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress)]
)
def test_compressed_files(
    run: Callable[..., Result], suffix: str, compress: Callable[[bytes], bytes]
) -> None:
    Path(f"a.txt.{suffix}").write_bytes(compress(b"x\ny\n"))
    Path(f"a.fq.{suffix}").write_bytes(compress(FASTQ.encode()))
    assert [value for _, value in pairs(run("functions:same", f"a.txt.{suffix}"))] == ["x", "y"]
    assert len(pairs(run("functions:qualities", f"a.fq.{suffix}"))) == 2


def test_compressed_standard_input(run: Callable[..., Result]) -> None:
    assert pairs(run("functions:same", input=gzip.compress(b"x\n"))) == [("-:1", "x")]


def test_standard_input_is_lines_and_may_be_named(run: Callable[..., Result]) -> None:
    assert pairs(run("functions:same", input="x\n")) == [("-:1", "x")]
    assert pairs(run("functions:same", "-", input="x\n")) == [("-:1", "x")]
    assert pairs(run("functions:same", "--format", "jsonl", input="[1]\n")) == [("-:1", [1])]


def test_files_of_different_formats_make_one_input(run: Callable[..., Result]) -> None:
    Path("a.txt").write_text("x\n")
    Path("b.jsonl").write_text("1\n")
    result = run("functions:same", "a.txt", "b.jsonl")
    assert [row["index"] for row in rows(result)] == [0, 1]
    assert pairs(result) == [("a.txt:1", "x"), ("b.jsonl:1", 1)]


def test_paths_and_patterns(run: Callable[..., Result]) -> None:
    for name in ("d/b.txt", "d/a.txt", "d/e/c.txt", "odd[1].txt"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()
    result = run("functions:same", "--format", "paths", "odd[1].txt", "d/**/*.txt", "d/e")
    names = ["odd[1].txt", "d/a.txt", "d/b.txt", "d/e/c.txt", "d/e"]
    assert pairs(result) == [(name, name) for name in names]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["absent.txt"], "no file 'absent.txt'"),
        (["good.txt", "absent.txt"], "no file 'absent.txt'"),
        (["*.txt"], "no file '*.txt'; for a pattern use --format paths"),
        (["odd.dat"], "add --format with one of: lines, jsonl, csv, tsv, fasta, fastq, paths"),
        (["odd.dat.gz"], "add --format"),
        (["directory"], "is a directory"),
        (["--format", "paths"], "at least one INPUT"),
        (["--format", "paths", "*.absent"], "'*.absent' matches nothing"),
        (["--format", "paths", "absent"], "no file 'absent'"),
        (["--format", "xml", "good.txt"], "'xml' is not one of"),
    ],
)
def test_is_checked_before_anything_starts(
    run: Callable[..., Result], arguments: list[str], message: str
) -> None:
    Path("directory").mkdir()
    for name in ("good.txt", "odd.dat", "odd.dat.gz"):
        Path(name).write_text("x\n")
    result = run("functions:same", *arguments, "-o", "out.jsonl")
    assert result.exit_code == 2
    assert message in result.stderr
    assert not Path("out.jsonl").exists()


@pytest.mark.parametrize(
    ("name", "data", "good", "message"),
    [
        ("a.txt", b"x\ny\n\xff\n", 2, "a.txt: line 3: byte 0xff is not UTF-8; convert"),
        ("a.jsonl", b"1\n{2\n", 1, "a.jsonl: line 2: not JSON ("),
        ("a.jsonl", b"[" * 100_000, 0, "a.jsonl: line 1: not JSON ("),
        ("a.csv", b"a,b\n1,2\n1,2,3\n", 1, "a.csv: line 3: 3 fields where the header has 2"),
        ("a.csv", b"a,b\n1,2\n1\n", 1, "a.csv: line 3: 1 field where the header has 2"),
        ("a.csv", b'a,b\n1,2\n1,"2\n3', 1, "a.csv: line 3: unexpected end of data"),
        ("a.csv", b"a,a\n1,2\n", 0, "a.csv: line 1: the header has the column 'a' twice"),
        ("a.csv", b">s1\nACGT\n", 0, "a.csv: line 1: this looks like FASTA"),
        ("a.tsv", b"a\tb\n1,2\n", 0, "a.tsv: line 2: 1 field where"),
        (
            "a.fa",
            b">s1\nAC\n>s2\nA\n>s3\n",
            2,
            "a.fa: line 5: the last record, 's3', has no sequence",
        ),
        (
            "a.fa",
            b"ACGT\n",
            0,
            "a.fa: line 1: expected '>' at the start of a record, but found 'ACGT'",
        ),
        ("a.fa", b"\xff\xfe\x00", 0, "a.fa: line 1: byte 0xff is not UTF-8"),
        (
            "a.fq",
            FASTQ.encode() + b"@r3\nAC",
            2,
            "a.fq: line 10: the file ends within the record 'r3'",
        ),
        (
            "a.fq",
            FASTQ.encode() + b"@r3\nAC\n+\n!\n",
            2,
            "a.fq: line 12: the record 'r3' has 2 letters, but 1 qualities",
        ),
        ("a.fq", b"\x7fELF\xff\xff", 0, "a.fq: "),
        (
            "a.txt.gz",
            b"plain text",
            0,
            "a.txt.gz: line 1: can't be read: its name ends as if it were",
        ),
        (
            "a.txt.gz",
            gzip.compress(b"xyz\n" * 9)[:-9],
            None,
            "a.txt.gz: line 2: can't be read: it ends within its gzip data",
        ),
        ("a.txt.xz", lzma.compress(b"x\n" * 9)[:-30], None, "is it damaged or cut off?"),
        ("a.txt", b"", 0, "a.txt: has no records"),
        ("a.fa", b"", 0, "a.fa: has no records"),
        ("a.fq", b"", 0, "a.fq: has no records"),
        ("a.csv", b"a,b\n", 0, "a.csv: has no records"),
    ],
)
def test_broken_input_costs_only_what_comes_after(
    run: Callable[..., Result], name: str, data: bytes, good: int | None, message: str
) -> None:
    Path(name).write_bytes(data)
    result = run("builtins:str", name)
    error, *summary = result.stderr.splitlines()
    assert result.exit_code == 1
    assert error.startswith("error: ")
    assert message in error
    assert "; " in error
    if good is not None:
        assert [row["index"] for row in rows(result)] == list(range(good))
        assert summary[0].startswith(f"{good} record")


def test_broken_input_keeps_the_batch_it_was_in(run: Callable[..., Result]) -> None:
    result = run("functions:upper", "--batch-size", "2", input=b"a\nb\nc\n\xff\n")
    assert [row["value"] for row in rows(result)] == ["A", "B", "C"]
    assert "standard input: line 4" in result.stderr
    assert result.exit_code == 1


def test_a_cell_may_be_long(run: Callable[..., Result]) -> None:
    Path("a.csv").write_text(f"a\n{'x' * 200_000}\n")
    assert run("functions:same", "a.csv").exit_code == 0
