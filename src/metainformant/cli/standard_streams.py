"""Standard input and output, which belong to the command and not to functions and their children.

What is done here is never undone. Calls that were abandoned may go on until the process ends, and
what C code has printed may stay in its buffer until then.
"""

from __future__ import annotations

import io
import os
import sys
from typing import BinaryIO

from .row_writer import RawFile


def take_stdin() -> BinaryIO:
    """Return the standard input for the command alone; an empty one if it is closed.

    From then on descriptor 0 of this process is the null device: programs started by a function
    inherit that, and cannot read the records.
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


def take_stdout() -> RawFile:
    """Return the standard output for rows alone, unbuffered; the null device if it is closed.

    From then on descriptor 1 of this process is a copy of standard error, and so is `sys.stdout`:
    whatever functions, their children and C code print goes there.
    """
    _occupy_closed_descriptors()
    stdout, sys.stdout = sys.stdout, sys.stderr
    if stdout is not None:
        stdout.flush()
    rows: RawFile
    try:
        descriptor = os.dup(stdout.fileno() if stdout else 1)
        rows = open(descriptor, "wb", buffering=0, closefd=False)  # noqa: SIM115
    except io.UnsupportedOperation:  # it is in memory
        rows = stdout.buffer
    os.dup2(2, 1)
    return rows


def _occupy_closed_descriptors() -> None:
    """Open the null device where a standard stream is closed, so that no other file lands there."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
