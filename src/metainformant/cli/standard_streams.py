"""Standard input, which belongs to the command: functions and their children get an empty one."""

from __future__ import annotations

import io
import os
import sys
from typing import BinaryIO


def take_stdin() -> BinaryIO:
    """Return the standard input for the command alone; an empty one if it is closed.

    From then on descriptor 0 of this process is the null device: programs started by a function
    inherit that, and cannot read the records. This is never undone, because calls that were
    abandoned may go on until the process ends.
    """
    _occupy_closed_descriptors()
    stdin = sys.stdin
    if stdin is None:
        return io.BytesIO()
    try:
        stdin.fileno()
    except io.UnsupportedOperation:  # it is in memory
        records: BinaryIO = stdin.buffer
        sys.stdin = io.StringIO()
    else:
        # Nobody ever closes it: a thread may still be blocked in reading it when the process ends.
        records = open(os.dup(0), "rb", closefd=False)  # noqa: SIM115
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    return records


def _occupy_closed_descriptors() -> None:
    """Open the null device where a standard stream is closed, so that no other file lands there."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
