"""The command line over a large file."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from ..harness.workload import Facts, Group

_READS = 1_000_000


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


GROUP = Group(
    "command",
    "The command line",
    [
        Facts(
            "command-reads",
            f"`metainformant map` over {_READS:,} FASTQ reads from standard input",
            _reads,
        )
    ],
)
