from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_demo(run: Callable[..., Result]) -> None:
    names = ("ls_orchid.fasta", "trouble.fasta", "lambda_virus.fa")
    inputs = [str(EXAMPLES / "data" / name) for name in names]
    result = run(f"{EXAMPLES / 'demo.py'}:demo", *inputs, "--timeout", "5", "-o", "demo.tsv")
    assert "97 records: 95 ok, 1 failed, 1 timed out" in result.stderr
    with open("demo.tsv", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert [row["index"] for row in rows] == [str(index) for index in range(97)]
    assert rows[0]["name"].startswith("gi|2765658|emb|Z78533.1|")
    assert rows[94]["message"] == "'!' at position 22 is not an IUPAC nucleotide"
    assert rows[95]["error"] == "TaskTimeoutError"
    assert (rows[96]["length"], rows[96]["gc"]) == ("48502", "0.4986")


@pytest.mark.parametrize(
    ("sequence", "expected"),
    [
        ("ACGT", {"length": 4, "gc": 0.5, "complexity": 1.0}),
        ("a" * 100, {"length": 100, "gc": 0.0, "complexity": 0.0161}),
        ("NNNN", {"length": 4, "gc": 0.0, "complexity": 0.0}),
    ],
)
def test_profile(run: Callable[..., Result], sequence: str, expected: dict[str, float]) -> None:
    import json

    function = f"{EXAMPLES / 'sequences.py'}:profile"
    result = run(function, "--format", "fasta", input=f">s\n{sequence}\n")
    assert json.loads(result.stdout)["value"] == expected
