"""What is in a checkpoint, in words."""

from __future__ import annotations

from typing import Any

from .visible import visible

# Characters of a message in a line; the whole is in the traceback, and in files for programs.
_MAX_MESSAGE = 500


def status_in_words(file: str, status: Any) -> str:
    """Return some lines about a file, and about each run in it."""
    head = f"{visible(file)}: {_size(status.size)}"
    if status.running:
        head += f", being written by {status.owner or 'another run'}"
    elif status.owner is not None:
        head += f", left behind by {status.owner}, which was killed"
    lines = [head]
    for run in status.runs:
        version = "" if run.version is None else f", version {run.version}"
        counts = [f"{run.ok:,} ok", f"{run.failed:,} failed"]
        if run.killed:
            counts.append(f"{run.killed:,} given up after kills")
        lines.append(f"  {visible(run.name + version)}: {', '.join(counts)}")
        if run.earlier:
            lines.append(f"    {run.earlier:,} of these by earlier code of the function")
        sessions = [f"{run.sessions:,} session{'' if run.sessions == 1 else 's'}"]
        if run.interrupted:
            sessions.append(f"{run.interrupted:,} interrupted")
        if run.writing:
            sessions.append("1 at work")
        lines.append(f"    {', '.join(sessions)}")
    if not status.runs:
        lines.append("  no runs")
    return "\n".join(lines)


def failure_in_words(entry: Any, *, with_traceback: bool) -> str:
    """Return a line about an item that has failed, and its traceback below that."""
    failure = entry.failure
    error = failure.kind.removeprefix("builtins.")
    if failure.message:
        message = failure.message
        if len(message) > _MAX_MESSAGE:
            message = f"{message[:_MAX_MESSAGE]}..."
        error += f": {message}"
    attempts = "1 attempt" if entry.attempts == 1 else f"{entry.attempts:,} attempts"
    line = visible(f"{entry.item}: {error} ({attempts})")
    if not with_traceback:
        return line
    lines = visible(failure.traceback.rstrip(), keep="\n").split("\n")
    return "\n".join([line, *(f"    {each}" for each in lines)])


def _size(count: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:,.1f} TB"
