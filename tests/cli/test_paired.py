"""Two files of sequences, read in step and written in step."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

Runner = Callable[..., Result]


def fastq(end: int, names: str, *, slash: bool = False) -> str:
    return "".join(
        f"@{name}/{end} more\nAC\n+\nII\n" if slash else f"@{name} {end}:N\nAC\n+\nII\n"
        for name in names
    )


@pytest.fixture(autouse=True)
def _workplace() -> None:
    Path("pair.py").write_text(
        "def names(pair):\n"
        "    one, two = pair\n"
        "    return [one.name, two.name]\n"
        "def same(pair): return pair if pair[0].id[0] != 'b' else None\n"
        "def first(pair): return pair[0]\n"
        "def picky(pair):\n"
        "    if pair[0].id[0] == 'b': raise ValueError('no')\n"
        "    return pair\n"
        "def lists(pairs): return [f'{one.id}+{two.id}' for one, two in pairs]\n"
    )
    Path("1.fq").write_text(fastq(1, "abc"))
    Path("2.fq").write_text(fastq(2, "abc"))


def rows(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def outputs() -> list[str]:
    return sorted(path.name for path in Path().iterdir() if path.name.startswith("out"))


@pytest.mark.parametrize("slash", [True, False])
def test_the_function_gets_pairs(run: Runner, slash: bool) -> None:
    Path("1.fq").write_text(fastq(1, "ab", slash=slash))
    Path("2.fq").write_text(fastq(2, "ab", slash=slash))
    result = run("pair:names", "--paired", "1.fq", "2.fq")
    assert result.exit_code == 0
    name = ["a/1 more", "a/2 more"] if slash else ["a 1:N", "a 2:N"]
    assert rows(result)[0] == {"index": 0, "name": "a", "value": name}
    assert [row["name"] for row in rows(result)] == ["a", "b"]


def test_in_batches_and_with_a_checkpoint(run: Runner) -> None:
    result = run("pair:lists", "--paired", "1.fq", "2.fq", "--batch-size", "2")
    assert [row["value"] for row in rows(result)] == ["a+a", "b+b", "c+c"]
    arguments = ("pair:names", "--paired", "1.fq", "2.fq", "--checkpoint", "c.ckpt")
    assert run(*arguments).exit_code == 0
    assert "3 finished, 0 new" in run(*arguments, "--dry-run").stdout


@pytest.mark.parametrize(
    ("first", "second", "message", "whole"),
    [
        ("abc", "ab", "2.fq: ends after record 2, but 1.fq goes on with 'c'", 2),
        ("a", "abc", "1.fq: ends after record 1, but 2.fq goes on with 'b'", 1),
        ("abc", "acb", "2.fq: record 2 is 'c', but that of 1.fq is 'b'", 1),
    ],
)
def test_where_two_files_go_apart(
    run: Runner, first: str, second: str, message: str, whole: int
) -> None:
    Path("1.fq").write_text(fastq(1, first))
    Path("2.fq").write_text(fastq(2, second))
    result = run("pair:names", "--paired", "1.fq", "2.fq")
    assert result.exit_code == 1
    assert f"error: {message}; both files must have the same records" in result.stderr
    assert [row["name"] for row in rows(result)] == list(first[:whole])


def test_a_file_that_is_cut_off(run: Runner) -> None:
    Path("2.fq").write_text(fastq(2, "abc")[:-4])
    result = run("pair:names", "--paired", "1.fq", "2.fq")
    assert result.exit_code == 1
    assert "2.fq: line 11: the file ends within the record 'c'" in result.stderr
    assert [row["name"] for row in rows(result)] == ["a", "b"]


def test_pairs_are_written_into_two_files(run: Runner) -> None:
    result = run("pair:same", "--paired", "1.fq", "2.fq", "-o", "out1.fq.gz", "-o", "out2.fq")
    assert result.exit_code == 0
    assert gzip.decompress(Path("out1.fq.gz").read_bytes()).decode() == fastq(1, "ac")
    assert Path("out2.fq").read_text() == fastq(2, "ac")
    run("pair:same", "--paired", "1.fq", "2.fq", "-o", "out1", "-o", "out2.fa",
        "--output-format", "fasta")  # fmt: skip
    assert Path("out1").read_text() == ">a 1:N\nAC\n>c 1:N\nAC\n"


def test_a_result_that_is_no_pair_and_failures_are_in_neither(run: Runner) -> None:
    arguments = ("--paired", "1.fq", "2.fq", "-o", "out1.fq", "-o", "out2.fq")
    result = run("pair:first", *arguments)
    assert result.exit_code == 1
    assert "the result is Sequence; return a pair of records, or None" in result.stderr
    assert run("pair:picky", *arguments).exit_code == 1
    assert Path("out1.fq").read_text() == fastq(1, "ac")
    assert Path("out2.fq").read_text() == fastq(2, "ac")


def test_both_outputs_take_their_names_or_none(
    run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("out1.fq").write_text("earlier\n")
    Path("2.fq").write_text(fastq(2, "ab"))
    arguments = ("pair:picky", "--paired", "1.fq", "2.fq", "-o", "out1.fq", "-o", "out2.fq")
    result = run(*arguments)
    assert "'out1.fq.part'; 'out1.fq' is as it was; the rows so far are in 'out2.fq.part'" in (
        result.stderr
    )
    assert Path("out1.fq").read_text() == "earlier\n"
    assert Path("out1.fq.part").read_text() == fastq(1, "a")
    assert Path("out2.fq.part").read_text() == fastq(2, "a")
    synchronized: list[int] = []

    def full_later(descriptor: int) -> None:
        synchronized.append(descriptor)
        if len(synchronized) == 2:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_later)
    Path("2.fq").write_text(fastq(2, "abc"))
    result = run(*arguments)
    assert "can't be written: No space left on device" in result.stderr
    assert Path("out1.fq").read_text() == "earlier\n"
    assert not Path("out2.fq").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--paired", "1.fq"], "--paired needs two INPUTs, each FASTA or FASTQ"),
        (["--paired", "1.fq", "pair.txt"], "--paired needs two INPUTs"),
        (["--paired", "1.fq", "1.fq"], "'1.fq' is named twice"),
        (["--paired", "1.fq", "2.fq", "--keep", "id"], "neither --command nor --keep"),
        (["--paired", "1.fq", "2.fq", "-o", "out.fq"], "need two files: -o R1 -o R2"),
        (["--paired", "1.fq", "2.fq", "-o", "out.fq", "-o", "./out.fq"], "need two files"),
        (["--paired", "1.fq", "2.fq", "-o", "out.fq", "-o", "out.fa"], "both FASTA or both FASTQ"),
        (["--paired", "1.fq", "2.fq", "-o", "out.csv", "-o", "o.csv"], "both FASTA or both FASTQ"),
        (["--paired", "1.fq", "2.fq", "-o", "out.fq", "-o", "2.fq"], "'2.fq' is the input '2.fq'"),
        (["1.fq", "-o", "out.fq", "-o", "out2.fq"], "-o is given twice only for the sequences"),
        (["--paired", "1.fq", "2.fq", "-o", "out.fq", "-o", "no/o.fq"], "'no/o.fq' can't be writ"),
    ],
)
def test_what_does_not_go_together(run: Runner, arguments: list[str], message: str) -> None:
    Path("pair.txt").write_text("a\n")
    result = run("pair:same", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert outputs() == []
