"""What is shown of a run while it lasts."""

from __future__ import annotations

import gzip
import io
import os
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from metainformant.cli.inputs import Input
from metainformant.cli.progress import Bar, LogLines, display
from metainformant.cli.records import Records
from metainformant.cli.tally import Tally
from metainformant.cli.time_left import TimeLeft

from .terminal import run_in_terminal


class Counting(Tally):
    """A tally whose time is told by the test."""

    now = 0.0

    @property
    def seconds(self) -> float:
        return self.now


def test_the_time_left_follows_the_speed_of_late() -> None:
    left = TimeLeft()
    assert left.update(0.0, 0, 100) is None
    assert left.update(1.0, 10, None) is None
    assert left.update(1.0, 10, 110) == pytest.approx(10)
    assert left.update(2.0, 20, 220) == pytest.approx(20)  # the total has changed
    for second in range(3, 200):
        found = left.update(float(second), 20 + 100 * (second - 2), 40_000)
    assert found == pytest.approx((40_000 - 19_720) / 100, rel=0.05)
    assert left.update(500.0, 19_720, 40_000) is None  # nothing for a long time


def test_the_time_left_is_never_negative() -> None:
    assert TimeLeft().update(2.0, 20, 10) == 0


@pytest.mark.parametrize("name", ["a.fq", "a.fq.gz", "-"])
def test_the_total_is_near_from_the_start(name: str) -> None:
    """Of a file that is small enough for the buffers of files and decompressors."""
    letters = random.Random(1)
    data = "".join(
        f"@r{number}\n{''.join(letters.choices('ACGT', k=100))}\n+\n{'I' * 100}\n"
        for number in range(1000, 5000)
    ).encode()
    Path("a.fq").write_bytes(data)
    Path("a.fq.gz").write_bytes(gzip.compress(data))
    with open("a.fq", "rb") as stdin:
        records = Records([Input(name, "fastq")], stdin)
        totals = []
        for number, _ in enumerate(records, 1):
            if number in (100, 400, 2000, 3900):
                totals.append(records.expected())
        assert records.expected() == 4000
    assert totals == [pytest.approx(4000, rel=share) for share in (0.25, 0.15, 0.05, 0.02)]


def test_large_counts_are_written_alike() -> None:
    tally = Tally()
    tally.ok, tally.dropped, tally.failed, tally.not_started = 4000, 3000, 2000, 1000
    line = "7,000 records: 4,000 ok, 3,000 of them None, 2,000 failed, 1,000 not started in "
    assert tally.in_words().startswith(line)


def test_a_log_file_gets_a_line_every_ten_seconds() -> None:
    Path("in.txt").write_text("aaaa\n" * 100)
    records = Records([Input("in.txt", "lines")], io.BytesIO())
    iterator = iter(records)
    for _ in range(50):
        next(iterator)
    tally, said = Counting(), list[str]()
    lines = LogLines(tally, records, said.append)
    for tenth in range(250):
        tally.now = tenth / 10
        tally.ok = tenth // 10
        tally.failed = 1
        lines.update()
    assert said == [
        "11/100  1.1/s  1 failed  1:21 min left",
        "21/100  1.1/s  1 failed  1:15 min left",
    ]
    lines.say("a message")
    assert said[-1] == "a message"


def test_what_is_no_terminal_gets_lines(
    run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    result = run("functions:same", "--progress", input="a\n")
    assert [line[:8] for line in result.stderr.splitlines()] == ["1 record"]

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    arguments: Any = (Tally(), Records([], io.BytesIO()), print)
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    assert isinstance(display(*arguments), Bar)
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(display(*arguments), LogLines)
    monkeypatch.setattr(sys, "stderr", None)
    assert isinstance(display(*arguments), LogLines)


@pytest.mark.skipif(os.name != "posix", reason="needs terminals")
def test_a_bar_shows_the_time_left() -> None:
    Path("slow.py").write_text("import time\ndef f(x): time.sleep(0.02)\n")
    Path("in.txt").write_text("aaaa\n" * 400)
    command = [sys.executable, "-m", "metainformant", "map", "slow.py:f", "in.txt", "-o", "o.jsonl"]
    status, seen = run_in_terminal(command)
    assert status == 0
    assert "/400  " in seen
    assert "s left" in seen


@pytest.mark.skipif(os.name != "posix", reason="needs terminals")
def test_a_bar_shows_for_how_long_a_service_wants_no_calls() -> None:
    Path("service.py").write_text(
        "from metainformant.core.parallel import current_task\n"
        "class Refused(OSError): status, headers = 429, {'Retry-After': '1.5'}\n"
        "def call(text):\n"
        "    if text == 'b' and current_task().attempt == 1: raise Refused\n"
    )
    Path("in.txt").write_text("a\nb\n")
    command = [sys.executable, "-m", "metainformant", "map", "service.py:call", "in.txt"]
    status, seen = run_in_terminal([*command, "-o", "o.jsonl"])
    assert status == 0
    assert "  paused for " in seen
    assert "2 records: 2 ok" in seen
