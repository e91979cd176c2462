"""Running the command in a terminal."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence


def run_in_terminal(command: Sequence[str]) -> tuple[int, str]:
    """Run `command` with all its streams in a terminal of its own; return its status and that."""
    import pty

    main, other = pty.openpty()
    process = subprocess.Popen(
        command,
        stdin=other,
        stdout=other,
        stderr=other,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "120"},
    )
    os.close(other)
    seen = b""
    while True:
        try:
            part = os.read(main, 4096)
        except OSError:  # Linux says so at the end of a terminal
            break
        if not part:
            break
        seen += part
    os.close(main)
    return process.wait(timeout=20), seen.decode()
