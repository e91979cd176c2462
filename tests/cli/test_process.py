"""What can only be seen from outside: signals, pipes, exits."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import pytest

from tests.support import run_python, wait_until

from .terminal import run_in_terminal

Start = Callable[..., "subprocess.Popen[str]"]
COMMAND = [sys.executable, "-m", "metainformant", "map"]
posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals and terminals")


def await_file(path: str) -> None:
    wait_until(Path(path).exists)


def read_until(stream: IO[str] | None, word: str) -> None:
    assert stream is not None
    for line in stream:
        if word in line:
            return
    pytest.fail(f"{word!r} never came")


def values(text: str) -> list[Any]:
    return [json.loads(line).get("value") for line in text.splitlines()]


def test_exit_status_and_streams(start: Start) -> None:
    process = start("functions:number")
    out, err = process.communicate("1\nx\n", timeout=20)
    assert process.returncode == 1
    assert values(out) == [1, None]
    assert err.startswith("2 records: 1 ok, 1 failed")


def test_a_hung_task_does_not_hold_up_the_exit(start: Start) -> None:
    process = start("functions:hang", "--timeout", "0.1")
    out, _ = process.communicate("a\nhang\n", timeout=20)
    assert process.returncode == 1
    assert len(out.splitlines()) == 2


def test_rows_are_written_while_others_still_run(start: Start) -> None:
    Path("in.txt").write_text("a\nhang\n")
    process = start("functions:hang", "in.txt", "-o", "out.jsonl")
    part = Path("out.jsonl.part")
    wait_until(lambda: part.exists() and part.read_text())
    assert process.poll() is None
    assert values(part.read_text()) == ["a"]


def test_a_closed_pipe_ends_it_quietly(start: Start) -> None:
    Path("in.txt").write_text("ACGT\n" * 200_000)
    process = start("functions:same", "in.txt")
    assert process.stdout is not None
    assert process.stdout.readline().startswith('{"index": 0,')
    process.stdout.close()
    process.stdout = None
    _, err = process.communicate(timeout=20)
    assert err == ""
    assert process.returncode == 141


def test_a_closed_pipe_ends_it_also_while_tasks_run(start: Start) -> None:
    process = start("functions:late")
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("late\nhang\n")
    process.stdin.close()
    process.stdin = None
    await_file("ready")
    process.stdout.close()
    process.stdout = None
    Path("go").touch()
    _, err = process.communicate(timeout=20)
    assert (err, process.returncode) == ("", 141)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk(start: Start) -> None:
    process = start("functions:same", "-o", "/dev/full")
    _, err = process.communicate("a\n", timeout=20)
    assert err.startswith("error: the output can't be written: No space left on device")
    assert process.returncode == 1


@posix
def test_ctrl_c_lets_tasks_in_flight_finish(start: Start) -> None:
    Path("in.txt").write_text("a\nlate\n" + "b\n" * 5)
    process = start("functions:late", "in.txt", "-j", "1", "--chunk-size", "7")
    await_file("ready")
    process.send_signal(signal.SIGINT)
    read_until(process.stderr, "interrupted: waiting up to 2 s for tasks in flight")
    Path("go").touch()
    out, err = process.communicate(timeout=20)
    assert values(out) == ["a", "late"]
    assert err.startswith("7 records: 2 ok, 5 not started in ")
    assert process.returncode == 130


@posix
@pytest.mark.parametrize("backend", ["thread", "process"])
def test_the_summary_after_ctrl_c_says_what_was_not_read(start: Start, backend: str) -> None:
    Path("in.txt").write_text("a\n" * 10_000)
    arguments = ("--rate", "20", "--buffer", "64", "--backend", backend)
    process = start("functions:ready", "in.txt", *arguments)
    await_file("ready")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert "the input was not read to its end (about 10,000 records in all)" in err
    assert process.returncode == 130


@posix
def test_ctrl_c_gives_up_after_the_grace(start: Start) -> None:
    Path("in.txt").write_text("a\nhang\nb\n")
    process = start("functions:hang", "in.txt")
    await_file("ready")
    begin = time.monotonic()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert time.monotonic() - begin > 1.5
    found = [json.loads(line) for line in out.splitlines()]
    assert [(row["error"], row["message"]) for row in found if row["index"] == 1] == [
        ("TaskCancelledError", "was still running when the run was interrupted")
    ]
    assert "1 cancelled" in err
    assert "Traceback" not in err
    assert process.returncode == 130


@posix
@pytest.mark.parametrize(
    "arguments",
    [
        ["functions:overloaded", "--retries", "9", "--backoff", "60"],
        ["functions:ready", "--rate", "0.01"],
    ],
)
def test_ctrl_c_waits_for_nothing_where_no_call_is_on(start: Start, arguments: list[str]) -> None:
    Path("in.txt").write_text("a\nb\n" * 20)
    process = start(*arguments, "in.txt")
    await_file("ready")
    time.sleep(0.3)  # the calls end at once; if they have not, the first one only comes too soon
    begin = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert time.monotonic() - begin < 1.5  # the grace is 2 s
    assert process.returncode == 130


@posix
def test_the_second_ctrl_c_ends_at_once(start: Start) -> None:
    Path("in.txt").write_text("a\nhang\n")
    process = start("functions:hang", "in.txt", "-o", "out.jsonl")
    await_file("ready")
    process.send_signal(signal.SIGINT)
    read_until(process.stderr, "interrupted")
    begin = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) == 130
    assert time.monotonic() - begin < 1.5
    assert values(Path("out.jsonl.part").read_text()) == ["a"]
    assert process.stderr is not None
    assert "so far are in 'out.jsonl.part'; 'out.jsonl' was not written" in process.stderr.read()


@posix
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
@pytest.mark.parametrize("backend", ["thread", "process"])
def test_other_signals_end_it_as_ctrl_c_does(start: Start, name: str, backend: str) -> None:
    number = getattr(signal, name)
    Path("in.txt").write_text("a\nhang\nb\n")
    arguments = ("--backend", backend, "-j", "1", "-o", "out.jsonl", "--chunk-size", "1")
    process = start("functions:hang", "in.txt", *arguments)
    await_file("ready")
    process.send_signal(number)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 128 + number
    assert err.startswith(f"stopped by {name}: waiting up to 2 s for tasks in flight")
    assert "1 ok, 1 cancelled" in err
    assert values(Path("out.jsonl.part").read_text())[0] == "a"


@posix
def test_workers_leave_signals_to_the_command(start: Start) -> None:
    """As batch systems send them to all processes."""
    Path("worker.py").write_text(
        "import os, signal, subprocess, sys\n"
        "from pathlib import Path\n"
        "from functions import late\n"
        "CODE = 'import signal; print(signal.getsignal(signal.SIGTERM) == signal.SIG_DFL)'\n"
        "def f(text):\n"
        "    options = {'capture_output': True, 'text': True}\n"
        "    program = subprocess.run([sys.executable, '-c', CODE], **options)\n"
        "    if (pid := os.fork()) == 0:\n"
        "        signal.raise_signal(signal.SIGTERM)\n"
        "        os._exit(0)\n"
        "    _, status = os.waitpid(pid, 0)\n"
        "    Path('pid').write_text(str(os.getpid()))\n"
        "    late(text)\n"
        "    return program.stdout.strip(), os.waitstatus_to_exitcode(status)\n"
    )
    process = start("worker.py:f", "--backend", "process", "-j", "1")
    assert process.stdin is not None
    process.stdin.write("late\n")
    process.stdin.close()
    process.stdin = None
    await_file("ready")
    worker = int(Path("pid").read_text())
    for pid in (worker, process.pid):
        os.kill(pid, signal.SIGTERM)
    read_until(process.stderr, "stopped by SIGTERM")
    os.kill(worker, signal.SIGHUP)
    Path("go").touch()
    out, _ = process.communicate(timeout=20)
    assert values(out) == [["True", -signal.SIGTERM]]
    assert process.returncode == 143


@posix
def test_the_second_sigterm_ends_at_once_and_a_second_sighup_does_not(start: Start) -> None:
    Path("in.txt").write_text("late\n")
    process = start("functions:late", "in.txt")
    await_file("ready")
    process.send_signal(signal.SIGHUP)
    read_until(process.stderr, "stopped by SIGHUP")
    process.send_signal(signal.SIGHUP)
    Path("go").touch()
    out, _ = process.communicate(timeout=20)
    assert (process.returncode, values(out)) == (129, ["late"])

    Path("in.txt").write_text("hang\n")
    Path("ready").unlink()
    process = start("functions:hang", "in.txt")
    await_file("ready")
    process.send_signal(signal.SIGTERM)
    read_until(process.stderr, "stopped by SIGTERM")
    begin = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=20) == 143
    assert time.monotonic() - begin < 1.5


@posix
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_signals_that_are_ignored_at_the_start_stay_ignored(start: Start, name: str) -> None:
    process = start("functions:late", ignore=[name])
    assert process.stdin is not None
    process.stdin.write("late\n")
    process.stdin.flush()
    await_file("ready")
    process.send_signal(getattr(signal, name))
    Path("go").touch()
    out, err = process.communicate("b\n", timeout=20)
    assert values(out) == ["late", "b"]
    assert process.returncode == 0, err


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
@pytest.mark.parametrize("timeout", [[], ["--timeout", "1"]])
def test_programs_of_calls_that_were_abandoned_end_with_the_command(
    start: Start, timeout: list[str]
) -> None:
    Path("program.py").write_text(
        "import os, subprocess, sys\n"
        "from pathlib import Path\n"
        "CODE = \"import time; print('up', flush=True); time.sleep(300)\"\n"
        "def f(x):\n"
        "    pipe = subprocess.PIPE\n"
        "    shell = ['sh', '-c', f'{sys.executable} -c \"{CODE}\"; true']\n"
        "    child = subprocess.Popen(shell, stdout=pipe)\n"
        "    child.stdout.readline()\n"
        "    Path('pid').write_text(str(child.pid))\n"
        "    Path('ready').touch()\n"
        "    child.wait()\n"
    )
    process = start("program.py:f", *timeout)
    assert process.stdin is not None
    process.stdin.write("a\n")
    process.stdin.close()
    process.stdin = None
    await_file("ready")
    child = int(Path("pid").read_text())
    if not timeout:
        process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)  # all who have its stderr have ended
    wait_until(lambda: not _is_running(child))


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def until_stuck(process: subprocess.Popen[str]) -> None:
    """Wait until the reader's pipe is full: then its writers sleep, and no row can follow."""
    assert process.stdout is not None
    select.select([process.stdout], [], [], 20)
    time.sleep(0.5)  # a machine too slow for this tests less, but does not fail


@posix
def test_ctrl_c_while_the_output_is_stuck_loses_nothing(start: Start) -> None:
    Path("in.txt").write_text("ACGT\n" * 50_000)
    process = start("functions:same", "in.txt")
    until_stuck(process)
    process.send_signal(signal.SIGINT)
    read_until(process.stderr, "interrupted")
    out, err = process.communicate(timeout=20)
    indices = [json.loads(line)["index"] for line in out.splitlines()]
    assert indices == sorted(set(indices))
    assert f" {len(indices):,} ok" in err
    # Another worker may have been further when this one was kept from starting its next record.
    missing = indices[-1] + 1 - len(indices)
    not_started = re.search(r"([\d,]+) not started", err)
    assert missing <= (int(not_started[1].replace(",", "")) if not_started else 0)
    assert process.returncode == 130


@posix
def test_the_second_ctrl_c_ends_it_also_while_the_output_is_stuck(start: Start) -> None:
    Path("in.txt").write_text("ACGT\n" * 50_000)
    process = start("functions:same", "in.txt")
    until_stuck(process)
    process.send_signal(signal.SIGINT)
    read_until(process.stderr, "interrupted")
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) == 130


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="sees by /proc who sleeps")
def test_the_second_ctrl_c_may_come_just_before_a_call_that_blocks() -> None:
    """It interrupts no system call then, as what is simulated by interrupt_main()."""
    process = run_python(
        """
        import _thread, os, signal
        from metainformant.cli.interrupt_handler import InterruptHandler

        def sleeps():
            with open(f"/proc/self/task/{os.getpid()}/stat") as file:
                return file.read().rpartition(")")[2].split()[0] == "S"

        def press_again(text):
            while not sleeps():
                pass
            _thread.interrupt_main()

        with InterruptHandler(lambda: False, press_again, lambda: None):
            signal.raise_signal(signal.SIGINT)
            os.read(os.pipe()[0], 1)
        """
    )
    assert (process.stderr, process.returncode) == ("", 130)


@posix
@pytest.mark.parametrize("closed", ["stdin", "stdout"])
def test_a_closed_stream_is_wrong_usage(closed: str) -> None:
    number = {"stdin": 0, "stdout": 1}[closed]
    process = subprocess.run(
        [*COMMAND, "functions:same"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=20,
        preexec_fn=lambda: os.close(number),
    )
    assert process.returncode == 2
    assert "is closed; " in process.stderr


@posix
@pytest.mark.parametrize("format_", ["lines", "csv", "fasta", "fastq"])
def test_ctrl_c_ends_a_read_that_blocks(start: Start, format_: str) -> None:
    # The import tells that the command has begun; that it has come to the read, only waiting can.
    Path("functions.py").write_text("from pathlib import Path\nPath('ready').touch()\nsame = str\n")
    process = start("functions:same", "--format", format_)
    await_file("ready")
    wait_until(lambda: process.poll() is not None or _sleeping_in_read(process.pid))
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) == 130
    assert process.stderr is not None
    said = process.stderr.read()
    assert "Traceback" not in said
    assert "Fatal" not in said


@posix
def test_rows_are_written_and_timeouts_fire_while_the_input_is_silent(start: Start) -> None:
    process = start("functions:hang", "--timeout", "0.2")
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("a\nhang\nb\n")
    process.stdin.flush()
    lines = [process.stdout.readline() for _ in range(3)]
    assert '"a"' in lines[0]
    assert "TaskTimeoutError" in lines[1]
    assert '"b"' in lines[2]
    process.stdin.close()
    assert process.wait(timeout=20) == 1


def _sleeping_in_read(pid: int) -> bool:
    """Whether a thread waits for the pipe, as far as the system tells."""
    try:
        where = {path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/wchan")}
    except OSError:
        where = {"0"}
    if where <= {"0"}:  # it does not tell; a signal that comes too early must end it just as well
        time.sleep(0.5)
        return True
    return any("pipe" in place for place in where)


@posix
def test_what_a_terminal_types_has_no_bar_in_the_way() -> None:
    import pty

    main, other = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "functions:same"], stdin=other, stdout=subprocess.PIPE, stderr=other
    )
    os.close(other)
    os.write(main, b"typed\n\x04")
    out, _ = process.communicate(timeout=20)
    assert values(out.decode()) == ["typed"]
    assert b"\x1b" not in os.read(main, 4096)
    os.close(main)


def test_ctrl_c_before_the_run(start: Start) -> None:
    Path("press.py").write_text("raise KeyboardInterrupt")
    process = start("press:f")
    _, err = process.communicate("", timeout=20)
    assert err.strip() == "interrupted"
    assert process.returncode == 130


@posix
def test_the_bar_and_the_rows_share_a_terminal() -> None:
    Path("in.txt").write_text("a\nhang\nb\n")
    command = [*COMMAND, "functions:hang", "in.txt", "--timeout", "0.5"]
    status, seen = run_in_terminal(command)
    assert status == 1
    lines = seen.splitlines()
    for value in ("a", "b"):
        assert any(f'"value": "{value}"}}' in line for line in lines)
    assert "\x1b[?25h" in seen, "the cursor is shown again"
    assert "3 records: 2 ok, 1 timed out" in seen


def test_ctrl_c_during_the_start_is_no_traceback() -> None:
    code = """
import sys
class Pressed:
    def find_spec(self, name, path=None, target=None):
        if name == "metainformant.cli.run": raise KeyboardInterrupt
sys.meta_path.insert(0, Pressed())
from metainformant.__main__ import main
sys.exit(main())
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (130, "interrupted\n")


@posix
def test_ctrl_c_that_would_come_up_in_a_callback_during_the_start_ends_it() -> None:
    code = """
import os, signal, sys
class Callback:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(1000):  # it comes up here at the latest
            pass
class Pressed:
    def find_spec(self, name, path=None, target=None):
        if name == "metainformant.cli.run": Callback()
sys.meta_path.insert(0, Pressed())
from metainformant.__main__ import main
sys.exit(main())
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (-signal.SIGINT, "")
