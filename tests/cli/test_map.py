"""The command as a whole, in this process."""

from __future__ import annotations

import csv
import json
import logging
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import metainformant.__main__
from metainformant.cli.app import cli
from metainformant.cli.calls import InFlight, NotStartedError
from metainformant.cli.hints import limit_in_words
from metainformant.cli.tally import rest
from metainformant.core import parallel


def rows(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_rows_summary_and_status(run: Callable[..., Result]) -> None:
    result = run("functions:picky", input="a\nbad\nc\n")
    assert rows(result) == [
        {"index": 0, "name": "-:1", "value": "A"},
        {"index": 1, "name": "-:2", "error": "ValueError", "message": "it is\nbad"},
        {"index": 2, "name": "-:3", "value": "C"},
    ]
    summary, failure = result.stderr.splitlines()
    assert summary.startswith("3 records: 2 ok, 1 failed in ")
    assert failure == "  -:2: ValueError: it is bad"
    assert result.exit_code == 1


def test_names_and_messages_do_nothing_to_a_terminal(run: Callable[..., Result]) -> None:
    bell = "a\x1b]0;title\x07.txt"
    Path(bell).write_text("x\n")
    Path("loud.py").write_text("def f(text): raise ValueError('\\x1b[2J\\x07')\n")
    for progress in "--no-progress", "--progress":
        result = run("loud.py:f", bell, progress)
        assert rows(result)[0]["name"] == f"{bell}:1"
        shown = r"  a\x1b]0;title\x07.txt:1: ValueError: \x1b[2J\x07"
        assert result.stderr.splitlines()[1] == shown
    Path(bell).write_text("")
    assert r"error: a\x1b]0;title\x07.txt: has no records" in run("loud.py:f", bell).stderr


def test_an_input_in_the_place_of_the_function_is_named(run: Callable[..., Result]) -> None:
    Path("a.txt").touch()
    result = run("a.txt", "functions:same")
    assert result.exit_code == 2
    assert "FUNCTION 'a.txt' must be module:name" in result.stderr
    assert "; FUNCTION comes first, INPUTs after it" in result.stderr
    assert "comes first" not in run("functions.py", "a.txt").stderr


def test_all_well(run: Callable[..., Result]) -> None:
    result = run("functions:same", input="a\n")
    assert result.exit_code == 0
    assert result.stderr.startswith("1 record: 1 ok in ")
    assert run("functions:same", "--quiet", input="a\n").stderr == ""


def test_the_summary_groups_failures_of_one_kind(run: Callable[..., Result]) -> None:
    lines = run("functions:number", input="x\ny\nz3\n1\n").stderr.splitlines()
    assert lines[0].startswith("4 records: 1 ok, 3 failed")
    assert lines[1:] == [
        "  -:1 and 2 more: ValueError: invalid literal for int() with base 10: 'x'"
    ]


def test_many_records_keep_their_order(run: Callable[..., Result]) -> None:
    text = "".join(f"{number}\n" for number in range(30_000))
    assert [row["value"] for row in rows(run("functions:number", input=text))] == [*range(30_000)]


def test_unordered_gives_the_same_rows(run: Callable[..., Result]) -> None:
    text = "".join(f"{number}\n" for number in range(100))
    result = run("functions:number", "--unordered", "-j", "3", "--chunk-size", "7", input=text)
    found = rows(result)
    assert all(row["index"] == row["value"] for row in found)
    assert sorted(row["index"] for row in found) == [*range(100)]


@pytest.mark.parametrize("policy", ["record", "skip", "stop"])
def test_on_error(run: Callable[..., Result], policy: str) -> None:
    # One worker and chunks of one: what comes after the failure may be read, but is not written.
    arguments = ["--on-error", policy, "-j", "1", "--chunk-size", "1"]
    result = run("functions:picky", *arguments, input="a\nbad\nc\n")
    kept = {"record": [0, 1, 2], "skip": [0, 2], "stop": [0, 1]}
    assert [row["index"] for row in rows(result)] == kept[policy]
    assert "1 failed" in result.stderr
    assert ("stopped at the first failure" in result.stderr) == (policy == "stop")
    assert result.exit_code == 1


def test_timeout(run: Callable[..., Result]) -> None:
    result = run("functions:hang", "--timeout", "0.2", input="a\nhang\nb\n")
    assert [row.get("error") for row in rows(result)] == [None, "TaskTimeoutError", None]
    assert rows(result)[1]["message"] == "ran longer than 0.2 s"
    assert "2 ok, 1 timed out" in result.stderr
    assert result.exit_code == 1


def test_deadline(run: Callable[..., Result]) -> None:
    result = run("functions:hang", "--deadline", "0.3", "-j", "1", input="a\nhang\nb\n")
    assert [row.get("error") for row in rows(result)] == [None, "TaskCancelledError"]
    assert rows(result)[1]["message"] == "was still running when the time of --deadline was up"
    first, second, *_ = result.stderr.splitlines()
    assert first == "error: stopped when the time of --deadline was up"
    assert second.startswith("3 records: 1 ok, 1 cancelled, 1 not started in ")
    assert result.exit_code == 1


def test_batches(run: Callable[..., Result]) -> None:
    result = run("functions:sizes", "--batch-size", "2", input="a\nb\nc\n")
    assert [(row["index"], row["value"]) for row in rows(result)] == [(0, 2), (1, 2), (2, 1)]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("fail", "no luck"),
        ("drop", "1 results for 2 records; with --batch-size it must return one per record"),
        ("no_list", "must return a list with one result per record, but it returned int"),
    ],
)
def test_a_failed_batch_fails_each_of_its_records(
    run: Callable[..., Result], function: str, message: str
) -> None:
    result = run(f"functions:{function}", "--batch-size", "2", input="a\nb\n")
    assert [row["name"] for row in rows(result)] == ["-:1", "-:2"]
    assert all(message in row["message"] for row in rows(result))
    assert "2 records: 0 ok, 2 failed" in result.stderr


@pytest.mark.parametrize(("name", "delimiter"), [("o.csv", ","), ("o.TSV", "\t")])
def test_the_name_of_the_output_gives_its_format(
    run: Callable[..., Result], name: str, delimiter: str
) -> None:
    result = run("functions:pair", "-o", name, input="a\n")
    assert result.stdout == ""
    with open(name, newline="") as file:
        header, row = csv.reader(file, delimiter=delimiter)
    assert header == ["index", "name", "value.name", "twice", "error", "message"]
    assert row == ["0", "-:1", "a", "aa", "", ""]


def test_the_format_may_be_chosen(run: Callable[..., Result]) -> None:
    assert run("functions:same", "--output-format", "csv", input="a\n").stdout.startswith("index,")
    run("functions:same", "-o", "o.txt", input="a\n")
    assert json.loads(Path("o.txt").read_text())["value"] == "a"


def test_quoting_is_for_the_output_too(run: Callable[..., Result]) -> None:
    arguments = ("functions:picky", "--output-format", "tsv")
    assert run(*arguments, input='"a"\n').stdout.splitlines()[1] == '0\t-:1\t"A"\t\t'
    quoted = run(*arguments, "--quoting", input='"a"\n').stdout.splitlines()[1]
    assert quoted == '0\t-:1\t"""A"""\t\t'


def test_rows_in_tsv_come_back_as_they_were(run: Callable[..., Result]) -> None:
    run("functions:same", "-o", "o.tsv", input='"\n"a\n')
    values = [row["value"]["value"] for row in rows(run("functions:same", "o.tsv"))]
    assert values == ['"', '"a']


def test_a_result_that_does_not_fit_the_table_is_a_failure(run: Callable[..., Result]) -> None:
    result = run("functions:mixed", "--output-format", "csv", input="a\nb\n")
    assert "the key 'b' is not among those of the first result (a)" in result.stdout
    assert "2 records: 1 ok, 1 failed" in result.stderr


def test_what_the_function_prints_does_not_mix_with_the_rows(run: Callable[..., Result]) -> None:
    result = run("functions:printing", input="a\n")
    assert [row["value"] for row in rows(result)] == ["a"]
    assert "hello from a" in result.stderr


def test_exits_of_the_function_end_the_run(run: Callable[..., Result]) -> None:
    left = run("functions:leave", input="a\n")
    assert left.exit_code == 7
    assert "error: the function raised SystemExit(7), which stops the map" in left.stderr
    content = run("functions:leave_content", input="a\n")
    assert content.exit_code == 1  # since a record has no result
    pressed = run("functions:press", input="a\n")
    assert pressed.exit_code == 130
    assert "error: the function raised KeyboardInterrupt" in pressed.stderr


def test_progress_only_in_a_terminal_unless_asked_for(run: Callable[..., Result]) -> None:
    assert len(run("functions:same", input="a\n").stderr.splitlines()) == 1
    assert run("functions:same", "--progress", input="a\n").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-j", "0"], "'0' must be a count from 1 on, a share of the"),
        (["--retries", "9" * 30], "is not in the range 0<=x<="),
        (["--buffer", "9" * 30], "is not in the range 1<=x<="),
        (["--max-failures", "9" * 30], "must be a count, or a share between 0% and 100%"),
        (["--timeout", "0"], "range x>0"),
        (["--timeout", "nan"], "must be finite; leave the option out"),
        (["--deadline", "inf"], "must be finite; leave the option out"),
        (["--max-failures", "x"], "'x' must be a count, or a share between 0% and 100%"),
        (["--max-failures", "100%"], "'100%' must be a count, or a share"),
        (["--batch-size", "x"], "'x' is not a valid integer"),
        (["--on-error", "ignore"], "'ignore' is not one of"),
        (["-o", "absent/o.csv"], "No such file or directory; make the folder 'absent' first"),
        (["-o", "o.csv.bgz"], "pipe the rows into bgzip"),
        (["a.txt", "-o", "a.txt"], "'a.txt' is the input 'a.txt' too"),
        (["--no-such-option"], "No such option"),
        (["-j", "auto", "--backend", "process"], "-j auto is for threads"),
        (["-j", "auto", "--backend", "ray"], "-j auto is for threads"),
    ],
)
def test_wrong_usage(run: Callable[..., Result], arguments: list[str], message: str) -> None:
    Path("a.txt").write_text("precious\n")
    result = run("functions:same", *arguments, input="a\n")
    assert result.exit_code == 2
    assert message in result.stderr
    assert Path("a.txt").read_text() == "precious\n"


def test_version_and_help() -> None:
    assert "metainformant, version " in CliRunner().invoke(cli, ["--version"]).output
    assert "--on-error" in CliRunner().invoke(cli, ["map", "-h"]).output


def test_says_which_extra_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.startswith("metainformant.cli")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "click", None)
    assert metainformant.__main__.main() == 2
    assert capsys.readouterr().err == (
        "error: the command line needs 'click', which is not installed; "
        "run: pip install 'metainformant[cli]'\n"
    )


def test_retries(run: Callable[..., Result]) -> None:
    result = run("functions:flaky", "--retries", "2", "--backoff", "0", input="a\nb\n")
    assert [row["value"] for row in rows(result)] == ["a, attempt 3", "b, attempt 3"]
    result = run("functions:flaky", "--retries", "1", "--backoff", "0", input="a\n")
    assert rows(result)[0]["message"] == "attempt 2"


def test_rate(run: Callable[..., Result]) -> None:
    began = time.monotonic()
    result = run("functions:same", "--rate", "50", input="a\n" * 12)
    assert len(rows(result)) == 12
    assert time.monotonic() - began >= 10 / 50


@pytest.mark.parametrize(("limit", "least"), [("25", 26), ("10%", 20)])
def test_max_failures(run: Callable[..., Result], limit: str, least: int) -> None:
    result = run("functions:number", "--max-failures", limit, input="x\n" * 5000)
    assert result.exit_code == 1
    kinds = [row["error"] for row in rows(result)]
    failed = kinds.count("ValueError")
    assert failed >= least
    # A worker may hold an early record for as long as it likes: that is then cancelled.
    assert kinds.count("TaskCancelledError") == len(kinds) - failed <= 8
    cause, counts, rest, first, *_ = result.stderr.splitlines()
    assert cause.startswith("error: stopped, since ")
    assert cause.endswith(" finished records failed (--max-failures)")
    assert f" records: 0 ok, {failed} failed" in counts
    assert rest.startswith("stopped early: ")
    assert f" and {failed - 1:,} more: ValueError: " in first


def test_a_buffer_bounds_what_is_read_ahead(run: Callable[..., Result]) -> None:
    for extra in ([], ["--batch-size", "7"]):
        function = "functions:upper" if extra else "functions:same"
        result = run(function, "--buffer", "3", *extra, input="a\n" * 100)
        assert len(rows(result)) == 100
        assert result.exit_code == 0


def test_processes(run: Callable[..., Result]) -> None:
    result = run("functions:die", "--backend", "process", "-j", "2", input="a\ndie\nb\n")
    assert [row.get("value", row.get("message")) for row in rows(result)] == [
        "a",
        "its process exited with status 4",
        "b",
    ]
    assert "2 ok, 1 failed" in result.stderr


def test_processes_get_batches(run: Callable[..., Result]) -> None:
    options = ("--backend", "process", "-j", "1", "--batch-size", "2")
    result = run("functions:sizes", *options, input="a\nb\nc\n")
    assert [row["value"] for row in rows(result)] == [2, 2, 1]


def test_what_processes_print_is_not_among_the_rows(
    start: Callable[..., subprocess.Popen[str]],
) -> None:
    process = start("functions:printing", "--backend", "process", "-j", "1")
    out, err = process.communicate("a\n")
    assert [json.loads(line)["value"] for line in out.splitlines()] == ["a"]
    assert "hello from a" in err


class TestWhatIsLeftOfARunThatStopped:
    @pytest.mark.parametrize(
        ("read", "seen", "is_all_read", "expected", "said"),
        [
            (3, 3, True, 3, ""),
            (4, 3, True, 4, "stopped early: 1 more record had been read and has no row"),
            (
                1024,
                28,
                False,
                10_000,
                "stopped early: 996 more records had been read and have no row; "
                "the input was not read to its end (about 10,000 records in all)",
            ),
            (28, 28, False, None, "stopped early: the input was not read to its end"),
        ],
    )
    def test_in_words(
        self, read: int, seen: int, is_all_read: bool, expected: int | None, said: str
    ) -> None:
        assert rest(read, seen, is_all_read=is_all_read, expected=expected) == said

    def test_a_run_that_stops_early(self, run: Callable[..., Result]) -> None:
        Path("in.txt").write_text("bad\n" + "good\n" * 5000)
        arguments = ["in.txt", "--on-error", "stop", "-j", "1", "--buffer", "4"]
        said = run("functions:picky", *arguments).stderr
        assert "\nstopped early: " in said
        assert "the input was not read to its end (about 5,001 records in all)" in said

    def test_a_run_that_ends(self, run: Callable[..., Result]) -> None:
        assert "stopped early" not in run("functions:picky", input="bad\na\n").stderr

    def test_broken_input_says_it_in_its_own_words(self, run: Callable[..., Result]) -> None:
        assert "stopped early" not in run("functions:picky", input=b"a\n\xff\n").stderr


def test_the_summary_names_options_of_the_command() -> None:
    limit = parallel.Limit("gil", "threads took turns; process_map would take half")
    assert limit_in_words(limit) == "limit: threads took turns; --backend process would take half"
    assert limit_in_words(parallel.Limit("unknown", "can't tell")) is None


def test_a_report_of_the_command(tmp_path: Path, run: Callable[..., Result]) -> None:
    path = tmp_path / "run.json"
    source = tmp_path / "tasks.py"
    source.write_text("import time\ndef wait(text):\n    time.sleep(0.1)\n")
    result = run(f"{source}:wait", "--report", str(path), "-j", "8", input="x\n" * 56)
    assert "limit: The calls waited" in result.stderr
    (data,) = json.loads(path.read_text())["runs"]
    assert data["counts"]["ok"] == 56
    assert data["limit"]["kind"] == "calls"


def test_the_address_of_the_live_page_is_told(run: Callable[..., Result]) -> None:
    logger = logging.getLogger("metainformant.parallel")
    before = logger.level, list(logger.handlers)
    told = run("math:sqrt", "--live", input="4\n").stderr
    assert re.search(r"^live page: http://127\.0\.0\.1:\d+/\?token=[\w-]{43}$", told, re.MULTILINE)
    assert (logger.level, logger.handlers) == before
    assert "live page" not in run("math:sqrt", input="4\n").stderr


def test_a_report_that_cannot_be_written_is_refused(run: Callable[..., Result]) -> None:
    result = run("math:sqrt", "--report", "run.txt", input="")
    assert result.exit_code == 2
    assert "--report 'run.txt' must be the path of a file that ends in .html" in result.stderr


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("run.html", "--trace 'run.html' must be the path of a file that ends in .json.gz or"),
        ("no/where/run.json", "there is no folder"),
    ],
)
def test_a_trace_that_cannot_be_written_is_refused(
    run: Callable[..., Result], path: str, error: str
) -> None:
    result = run("math:sqrt", "--trace", path, input="")
    assert result.exit_code == 2
    assert error in result.stderr


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--report", "in.json"], "'in.json' is the input 'in.json' too; choose another file for"),
        (["--report", "link.json"], "'link.json' is the input 'in.json' too"),
        (["--trace", "in.json"], "'in.json' is the input 'in.json' too"),
        (["--checkpoint", "in.json"], "'in.json' is the input 'in.json' too"),
        (["--checkpoint", "ck.json", "--report", "ck.json"], "'ck.json' is the checkpoint too"),
        (["--checkpoint", "ck.json", "--trace", "./ck.json"], "'./ck.json' is the checkpoint too"),
        (["--checkpoint", "new.json", "--report", "new.json"], "'new.json' is the checkpoint too"),
        (["-o", "y.json", "--report", "y.json"], "'y.json' is the output too"),
        (["-o", "y.json", "--trace", "y.json"], "'y.json' is the output too"),
        (["--report", "z.json", "--trace", "z.json"], "'z.json' is the report too"),
    ],
)
def test_no_file_of_the_command_overwrites_another(
    tmp_path: Path,
    run: Callable[..., Result],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    error: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    before = os.listdir()
    Path("in.json").write_text("4\n")
    os.link("in.json", "link.json")
    Path("ck.json").write_text("precious")
    result = run(
        "math:sqrt", "in.json", "--format", "jsonl", "--output-format", "jsonl", *arguments
    )
    assert result.exit_code == 2
    assert error in result.stderr
    assert sorted(os.listdir()) == sorted([*before, "ck.json", "in.json", "link.json"])
    assert Path("in.json").read_text() == "4\n"
    assert Path("ck.json").read_text() == "precious"


def test_a_thread_between_two_refused_records_is_not_idle() -> None:
    calls = InFlight(str, lambda: True)
    assert not calls.is_idle()  # there may have been some before
    with pytest.raises(NotStartedError):
        calls(1)
    assert not calls.is_idle()
    assert calls.is_idle()


def test_the_number_of_threads_can_be_found_out(run: Callable[..., Result]) -> None:
    result = run("functions:same", "-j", "auto", input="a\nb\n")
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == 2


def test_refused_calls_are_tried_again_and_counted(run: Callable[..., Result]) -> None:
    result = run("functions:refused", "--backoff", "0", input="a\nb\n")
    assert result.exit_code == 0
    assert "2 ok" in result.stderr
    assert "2 refused calls were tried again" in result.stderr
    result = run("functions:refused", "--backoff", "0", input="a\n")
    assert "1 refused call was tried again" in result.stderr
