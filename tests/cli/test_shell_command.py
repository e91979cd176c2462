"""Commands of the shell in place of a function."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from metainformant.cli.process_groups import ProcessGroups
from metainformant.cli.record import Record
from metainformant.cli.shell_command import ShellCommand, compile_template
from tests.support import wait_until, without_coverage

Runner = Callable[..., Result]
pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs a POSIX shell")

NASTY = [
    "plain",
    "two  words",
    "a'b",
    'a"b',
    "$HOME",
    "$(touch pwned)",
    "`touch pwned`",
    "; touch pwned",
    "* ?",
    "-n",
    "back\\slash",
    "{}",
    "new\nline",
    "",
]


def rows(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def printed(template: str, value: Any, name: str = "record") -> str:
    return ShellCommand(template)(Record(name, value)).stdout


@pytest.mark.parametrize("value", NASTY)
@pytest.mark.parametrize(
    "template",
    [
        "printf %s {}",
        'printf %s "{}"',
        "printf %s '{}'",
        'printf %s "$(printf %s {})"',
        'printf %s "$(printf %s "{}")"',
        '(printf %s "{}")',
        "printf %s",
    ],
)
def test_no_value_is_read_as_code(
    template: str, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert printed(template, value) == value
    assert list(tmp_path.glob("pwned")) == []


@pytest.mark.parametrize(
    ("template", "script", "fields"),
    [
        ("a {} {x} {}", 'a "${1}" "${2}" "${1}"', ["", "x"]),
        ("awk '{{print $1}}' {}", "awk '{print $1}' \"${1}\"", [""]),
        ("echo ${HOME} {a,b} {}", 'echo ${HOME} {a,b} "${1}"', [""]),
        ('echo "it\'s {}"', 'echo "it\'s ${1}"', [""]),
        ("echo it\\'s {}", 'echo it\\\'s "${1}"', [""]),
        ("(cd {//} && ls) > {/.}.txt", '(cd "${1}" && ls) > "${2}".txt', ["//", "/."]),
        ('echo "(a) {}"', 'echo "(a) ${1}"', [""]),
    ],
)
def test_scripts(template: str, script: str, fields: list[str]) -> None:
    assert compile_template(template) == (script, fields)


def test_what_placeholders_stand_for() -> None:
    path = "runs/a.b/reads.fq.gz"
    assert printed("echo {.} {/} {/.} {//} {name}", path) == (
        "runs/a.b/reads.fq reads.fq.gz reads.fq runs/a.b record\n"
    )
    assert printed("echo {n} {tags} {name}", {"n": 7, "tags": ["x"]}) == '7 ["x"] record\n'
    assert printed("echo {name} {}", {"name": "own"}) == 'own {"name": "own"}\n'
    with pytest.raises(LookupError, match=r"no column 'm'; its columns are n.* write \{\{m\}\}"):
        printed("echo {m}", {"n": 7})


def test_inputs_are_paths(run: Runner) -> None:
    Path("a b.csv").write_text("x\n1\n")
    Path("c.csv").write_text("x\n2\n3\n")
    first, second = rows(run("--command", "wc -l < {}", "a b.csv", "c.csv"))
    assert first["name"] == "a b.csv"
    assert first["value"] == {"status": 0, "stdout": first["value"]["stdout"], "stderr": ""}
    assert [int(row["value"]["stdout"]) for row in (first, second)] == [2, 3]
    found = rows(run("--command", "echo {x} >&2", "--format", "csv", "c.csv"))
    assert [row["value"]["stderr"] for row in found] == ["2\n", "3\n"]


def test_lines_of_standard_input_and_plain_output(run: Runner) -> None:
    result = run("--command", "echo got {}", "--output-format", "text", input="a\nb\n")
    assert result.stdout == "got a\ngot b\n"
    table = run("--command", "printf {}", "--output-format", "csv", input="a\n").stdout
    assert table.splitlines() == ["index,name,status,stdout,stderr,error,message", "0,-:1,0,a,,,"]


def test_a_status_that_is_not_0_is_a_failure(run: Runner) -> None:
    result = run("--command", "echo broken >&2; exit {}", input="0\n3\n")
    first, second = rows(result)
    assert first["value"]["stderr"] == "broken\n"
    assert second["error"] == "CommandError"
    assert second["value"] == {"status": 3, "stdout": "", "stderr": "broken\n"}
    assert "status 3" in second["message"]
    assert "broken" in second["message"]
    assert result.exit_code == 1


def test_the_columns_are_those_of_a_command_if_the_first_one_fails(run: Runner) -> None:
    script = "printf {}; test {} = 1"
    table = run("--command", script, "--output-format", "csv", input="0\n1\n").stdout
    header, failure, success = table.splitlines()
    assert header == "index,name,status,stdout,stderr,error,message"
    assert failure.startswith("0,-:1,1,0,,CommandError,Command ")
    assert success == "1,-:2,0,1,,,"


def test_a_column_that_is_not_there_costs_the_value_only(run: Runner) -> None:
    Path("n.jsonl").write_text('{"n": 1}\n{"m": 1}\n')
    arguments = ("--format", "jsonl", "--output-format", "tsv", "n.jsonl")
    lines = run("--command", "printf {n}", *arguments).stdout.splitlines()
    assert lines[1].split("\t") == ["0", "n.jsonl:1", "0", "1", "", "", ""]
    assert lines[2].split("\t")[:6] == ["1", "n.jsonl:2", "", "", "", "LookupError"]


def test_failures_in_a_checkpoint_have_their_status(run: Runner) -> None:
    arguments = ["--checkpoint", "c.ckpt", "--keep-failures", "--command", "echo {}; exit 4"]
    first = run(*arguments, input="a\n")
    again = run(*arguments, input="a\n")
    assert "1 from the checkpoint" in again.stderr
    assert rows(again) == rows(first)
    assert rows(again)[0]["value"] == {"status": 4, "stdout": "a\n", "stderr": ""}


def test_it_has_an_empty_input_and_a_group_of_its_own(run: Runner) -> None:
    (row,) = rows(run("--command", "cat; ps -o pgid= -p $$; echo $$ # {}", input="a\n"))
    group, pid = row["value"]["stdout"].split()
    assert group == pid


def test_the_start_imports_nothing_that_most_runs_do_not_need() -> None:
    code = """
import sys
before = set(sys.modules)  # coverage may be there
from metainformant.cli.app import cli
try:
    cli.main(["map", "--command", "true", "--quiet", "-o", "out.jsonl"], standalone_mode=False)
finally:
    print(*set(sys.modules) - before)
"""
    ran = subprocess.run(
        [sys.executable, "-c", code],
        input="a\n",
        capture_output=True,
        text=True,
        check=True,
        env=without_coverage(),
    )
    loaded = set(ran.stdout.split() + ran.stderr.split())
    assert "metainformant.cli.shell_command" in loaded
    unneeded = {"asyncio", "html", "multiprocessing", "pyarrow", "sqlite3", "numpy"}
    assert loaded & unneeded == set()


def test_a_checkpoint_knows_the_command(run: Runner) -> None:
    arguments = ["--checkpoint", "c.ckpt", "--command"]
    assert rows(run(*arguments, "echo 1 {}", input="a\n"))[0]["value"]["stdout"] == "1 a\n"
    again = run(*arguments, "echo 1 {}", input="a\n")
    assert "1 from the checkpoint" in again.stderr
    assert rows(again)[0]["value"]["stdout"] == "1 a\n"
    assert rows(run(*arguments, "echo 2 {}", input="a\n"))[0]["value"]["stdout"] == "2 a\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name a FUNCTION, or a command of the shell with --command"),
        (["--command", " "], "--command is empty; say what to run"),
        (["--command", "ls", "--backend", "process"], "leave --backend process out"),
        (["--command", "ls", "--batch-size", "2"], "leave --batch-size out"),
        (["--command", "ls", "functions:same"], "there is no file 'functions:same'"),
    ],
)
def test_wrong_usage(run: Runner, arguments: list[str], message: str) -> None:
    result = run(*arguments, input="a\n")
    assert result.exit_code == 2
    assert message in result.stderr


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="ends programs by /proc")
@pytest.mark.parametrize(
    "script",
    [
        "NAP & NAP; wait",
        "NAP & echo",  # the shell has ended, and a pipe is open
        "(NAP &); NAP",  # the parent of one has ended
        "(NAP > /dev/null 2>&1 &); NAP",  # which has closed the pipes
        "exec >&- 2>&-; NAP",
    ],
)
@pytest.mark.parametrize("limit", ["--timeout", "--deadline"])
def test_a_limit_ends_all_that_a_command_has_started(run: Runner, script: str, limit: str) -> None:
    nap = f"sleep 9{os.getpid()}"  # other runs of this test have other ones
    result = run("--command", f"{script.replace('NAP', nap)}; : {{}}", limit, "0.4", input="a\n")
    error = "TaskTimeoutError" if limit == "--timeout" else "TaskCancelledError"
    assert rows(result)[0]["error"] == error
    wait_until(lambda: subprocess.run(["pgrep", "-f", f"^{nap}$"]).returncode == 1)


@pytest.mark.parametrize("where", ["kill", "wait"])
def test_what_ends_a_call_may_come_while_its_group_is_ended(
    where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ended(BaseException): ...

    class Leader(subprocess.Popen[bytes]): ...

    def end_here(*_: object) -> None:
        monkeypatch.undo()
        raise Ended

    if where == "kill":
        monkeypatch.setattr(os, "killpg", end_here)
    else:
        monkeypatch.setattr(Leader, "wait", end_here)
    with (
        pytest.raises(Ended),
        Leader(["/bin/sh", "-c", "sleep 9"], process_group=0, stdout=subprocess.PIPE) as leader,
    ):
        ProcessGroups().output_of(leader, 0.01, lambda: True)
    assert leader.returncode == -signal.SIGKILL


def test_what_a_command_leaves_behind_that_has_ended_goes_on(run: Runner) -> None:
    """It has closed the pipes, as servers do."""
    (row,) = rows(run("--command", "sleep 60 > /dev/null 2>&1 & echo $! # {}", input="a\n"))
    os.kill(int(row["value"]["stdout"]), signal.SIGKILL)  # or it has ended
