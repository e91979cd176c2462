"""What rows carry: kept columns, names of records, and no row for None."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from metainformant.core import parallel

Runner = Callable[..., Result]


def rows(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture(autouse=True)
def _functions() -> None:
    Path("more.py").write_text(
        "def count(row):\n"
        "    return {'n': int(row['n']), 'sample': 'x'}\n"
        "def odd(text):\n"
        "    return text if int(text) % 2 else None\n"
        "def length(record):\n"
        "    return len(record)\n"
    )
    Path("in.tsv").write_text("sample\tn\tname\na\t1\tA\nb\tno\tB\n")


def test_columns_are_kept_for_failures_too(run: Runner) -> None:
    first, second = rows(run("more:count", "in.tsv", "--keep", "sample,name"))
    value = {"n": 1, "sample": "x"}
    assert first == {
        "index": 0, "name": "in.tsv:2", "sample": "a", "input.name": "A", "value": value
    }  # fmt: skip
    assert list(first) == ["index", "name", "sample", "input.name", "value"]
    assert (second["sample"], second["input.name"], second["error"]) == ("b", "B", "ValueError")


def test_in_tables_too(run: Runner) -> None:
    result = run("more:count", "in.tsv", "--keep", "sample,name", "--output-format", "csv")
    assert result.stdout.splitlines() == [
        "index,name,sample,input.name,n,value.sample,error,message",
        "0,in.tsv:2,a,A,1,x,,",
        "1,in.tsv:3,b,B,,,ValueError,invalid literal for int() with base 10: 'no'",
    ]


def test_json_objects_and_sequences_have_columns(run: Runner) -> None:
    Path("in.jsonl").write_text('{"id": 7, "x": 1}\n{"name": "b"}\n[1]\n')
    found = rows(run("functions:same", "in.jsonl", "--keep", "x"))
    assert [(row["name"], row["x"]) for row in found] == [
        ("7", 1),
        ("b", None),
        ("in.jsonl:3", None),
    ]
    Path("in.fas").write_text(">a first\nATG\n")
    (row,) = rows(run("more:length", "in.fas", "--keep", "name,sequence"))
    assert (row["input.name"], row["sequence"], row["value"]) == ("a first", "ATG", 3)


def test_columns_that_are_not_there(run: Runner) -> None:
    result = run("more:count", "in.tsv", "--keep", "sampel")
    assert result.exit_code == 1
    assert "there is no column 'sampel' to keep; its columns are sample, n, name" in result.stderr
    for text, name, format_ in [("x", "a.txt", "lines"), (">a\nA\n", "a.fa", "fasta")]:
        Path(name).write_text(text)
        result = run("functions:same", name, "--keep", "nothing")
        assert result.exit_code == 2
        assert f"--keep nothing: records of the format {format_} have" in result.stderr


def test_none_has_no_row(run: Runner) -> None:
    result = run("more:odd", "--drop-none", input="1\n2\n3\nx\n")
    assert [row["index"] for row in rows(result)] == [0, 2, 3]
    assert result.stderr.startswith("4 records: 3 ok, 1 of them None, 1 failed in ")
    batches = run("functions:upper", "--drop-none", "--batch-size", "2", input="a\nb\n")
    assert len(rows(batches)) == 2


def test_piped_paths_are_names(run: Runner) -> None:
    assert [row["name"] for row in rows(run("functions:same", input="in.tsv\nnot there\n"))] == [
        "in.tsv",
        "not there",
    ]
    assert [row["name"] for row in rows(run("functions:same", input="not there\nin.tsv\n"))] == [
        "-:1",
        "-:2",
    ]


@pytest.mark.parametrize(
    ("options", "count"),
    [
        (["-j", "3"], 3),
        (["--jobs", "3"], 3),
        (["--threads", "3"], 3),
        (["-p", "3"], 3),
        (["-j", "50%"], max(1, parallel.cpu_count() // 2)),
        (["-j", "1%"], max(1, parallel.cpu_count() // 100)),
        (["-j", "+2"], parallel.cpu_count() + 2),
        (["-j", "+0"], parallel.cpu_count()),
    ],
)
def test_numbers_of_workers(
    run: Runner, monkeypatch: pytest.MonkeyPatch, options: list[str], count: int
) -> None:
    asked: list[Any] = []
    outcomes = parallel.outcomes

    def noted(*arguments: Any, **more: Any) -> Any:
        asked.append(more["max_workers"])
        return outcomes(*arguments, **more)

    monkeypatch.setattr(parallel, "outcomes", noted)
    run("functions:same", *options, input="a\n")
    assert asked == [count]


@pytest.mark.parametrize("wrong", ["0", "-1", "x", "0%", "+50%", "1.5", "+", "%", "99999999999"])
def test_wrong_numbers_of_workers(run: Runner, wrong: str) -> None:
    result = run("functions:same", f"-j{wrong}", input="a\n")
    assert result.exit_code == 2
    assert "must be a count from 1 on, a share of the" in result.stderr


def test_names_of_compressed_files(run: Runner) -> None:
    import bz2
    import gzip

    Path("reads.fq.bz2").write_bytes(bz2.compress(b"@r\nA\n+\nI\n"))
    Path("in.tsv.bgz").write_bytes(gzip.compress(b"a\n1\n"))
    assert rows(run("more:length", "reads.fq.bz2"))[0]["value"] == 1
    assert rows(run("functions:same", "in.tsv.bgz"))[0]["value"] == {"a": "1"}
