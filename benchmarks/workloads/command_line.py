"""The command line over a large file."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ..harness.workload import Contender, Facts, Group, Unable, Workload
from ..peers import ours

_READS = 1_000_000
_COMMANDS = 500


def _reads() -> dict[str, str]:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "job.py").write_text("def length(read): return len(read.sequence)\n")
        command = [sys.executable, "-m", "metainformant", "map", "job:length", "--format", "fastq"]
        process = subprocess.Popen(
            [*command, "-o", "out.tsv"], cwd=folder, stdin=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert process.stdin is not None
        assert process.stderr is not None
        began = time.perf_counter()
        block = "".join(f"@r{n}\n{'ACGT' * 25}\n+\n{'I' * 100}\n" for n in range(1000)).encode()

        def feed() -> None:
            assert process.stdin is not None
            for _ in range(_READS // 1000):
                process.stdin.write(block)
            process.stdin.close()

        thread = threading.Thread(target=feed)
        thread.start()
        said = process.stderr.read().decode()
        thread.join()
        _, status, usage = os.wait4(process.pid, 0)
        took = time.perf_counter() - began
        lines = Path(folder, "out.tsv").read_bytes().count(b"\n")
    assert lines == _READS + 1, said
    assert status == 0, said
    return {"time": f"{took:.1f} s", "peak memory": f"{usage.ru_maxrss / 1024:.0f} MiB"}


def _commands(stack: ExitStack) -> list[Contender]:
    """Contenders that run a command of the shell for each line of a file."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    lines = folder / "lines"
    lines.write_text("".join(f"{number}\n" for number in range(_COMMANDS)))
    # The first round writes the bytecode that an installed package has.
    surroundings = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}

    def contender(*command: str) -> Any:
        if shutil.which(command[0]) is None:
            return Unable("not installed here")

        def run() -> None:
            with lines.open() as file:
                subprocess.run(
                    command,
                    stdin=file,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    env=surroundings,
                ).check_returncode()

        return run

    own = ("-m", "metainformant", "map", "--command", "echo {}", "-j", "8", "--quiet")
    return [
        ours.ours(contender(sys.executable, *own)),
        Contender("xargs", "peer", contender("xargs", "-P8", "-I{}", "sh", "-c", "echo {}")),
        Contender("GNU parallel", "peer", contender("parallel", "-j8", "echo {}")),
    ]


GROUP = Group(
    "command",
    "The command line",
    [
        Workload(
            "command-shell",
            f"A command of the shell for each of {_COMMANDS} lines, 8 at a time",
            _commands,
            rounds=5,
            seconds=20,
            note="The others keep neither status nor output of the single commands.",
        ),
        Facts(
            "command-reads",
            f"`metainformant map` over {_READS:,} FASTQ reads from standard input",
            _reads,
        ),
    ],
)
