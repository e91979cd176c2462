"""Failures in words: for rows, and grouped for the summary."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from metainformant.core import parallel

_OUR_FOLDER = str(Path(__file__).resolve().parents[1])
_LONGEST_CHAIN = 10
_LONGEST_STDERR = 2000  # of its end, where programs say what went wrong

_SHOWN_GROUPS = 5
_KEPT_GROUPS = 1000  # a run may fail in as many ways as it has records
_LONGEST_LINE = 240
_COMPARED = 500  # characters of a message
# What differs between messages of one kind: what is quoted, and numbers.
_VARIABLE = re.compile(r"'[^']*'|\"[^\"]*\"|\d+")
# What the library adds to the end of a traceback: the name of the record says it better.
_NOTE = re.compile(r"\nitem \d+ \(.*\), attempt \d+$")

# How reasons to stop begin, and what they are called here.
_REASONS = {
    "cancel": "the run was interrupted",  # only the handler of signals sets it
    "deadline": "the time of --deadline was up",
    "max_failures": "too many records had failed (--max-failures)",
}


class Failure(NamedTuple):
    """A record without a result.

    Attributes:
        value: what its row has in the place of a result all the same; None for nothing.
    """

    name: str
    error: str
    message: str
    traceback: str
    is_cancelled: bool
    value: Any = None


def failure_of(name: str, error: BaseException, *, with_traceback: bool) -> Failure:
    """Put the failure of a record into words."""
    return Failure(
        name,
        type(error).__name__,
        _message(error),
        _traceback(error) if with_traceback else "",
        isinstance(error, parallel.TaskCancelledError),
        getattr(error, "partial_value", None),
    )


def why_stopped(error: parallel.TaskCancelledError) -> str:
    """Say why the map was stopped, in the words of the command line."""
    names = (name for word, name in _REASONS.items() if error.reason.startswith(word))
    return next(names, error.reason)


class FailureGroups:
    """The counts of failures that differ only in what they quote, with one example each."""

    def __init__(self) -> None:
        self._examples: dict[tuple[str, str], Failure] = {}
        self._counts: dict[tuple[str, str], int] = {}

    def add(self, failure: Failure) -> None:
        key = (failure.error, _VARIABLE.sub("", failure.message[:_COMPARED]))
        if key not in self._counts and len(self._counts) >= _KEPT_GROUPS:
            key = (failure.error, "")
        self._examples.setdefault(key, failure)
        self._counts[key] = self._counts.get(key, 0) + 1

    def in_words(self) -> str:
        """Return a line for each of the largest groups; cancelled records come last."""
        keys = sorted(
            self._counts, key=lambda key: (self._examples[key].is_cancelled, -self._counts[key])
        )
        lines = []
        for key in keys[:_SHOWN_GROUPS]:
            failure, others = self._examples[key], self._counts[key] - 1
            names = failure.name + (f" and {others:,} more" if others else "")
            lines.append("  " + _shorten(f"{names}: {failure.error}: {failure.message}"))
            lines += [f"    {line}" for line in failure.traceback.splitlines()]
        if rest := sum(self._counts[key] for key in keys[_SHOWN_GROUPS:]):
            lines.append(f"  … and {rest:,} more, of {len(keys) - _SHOWN_GROUPS} other kinds")
        return "\n".join(lines)


def _message(error: BaseException) -> str:
    if isinstance(error, parallel.WorkerDiedError):
        return f"its process {error.fate}"
    if isinstance(error, parallel.TaskTimeoutError):
        return f"ran longer than {error.seconds:g} s"
    if isinstance(error, parallel.TaskCancelledError):
        state = "was waiting for another attempt" if error.waiting else "was still running"
        return f"{state} when {why_stopped(error)}"
    try:
        message = str(error)
    except Exception:  # a faulty exception class must not end the run
        message = "(its message can't be shown)"
    stderr = next(filter(None, map(_stderr, _chain(error))), "")
    return f"{message} Its stderr: {stderr}" if stderr else message


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and what led to it."""
    current: BaseException | None = error
    for _ in range(_LONGEST_CHAIN):
        if current is None:
            return
        yield current
        context = None if current.__suppress_context__ else current.__context__
        current = current.__cause__ or context


def _stderr(error: BaseException) -> str:
    """Return what a failed program wrote to its stderr, if that was captured."""
    if not hasattr(error, "cmd"):  # only the errors of subprocess have both
        return ""
    stderr = getattr(error, "stderr", None)
    if isinstance(stderr, bytes):
        stderr = stderr.decode(errors="replace")
    return stderr.strip()[-_LONGEST_STDERR:] if isinstance(stderr, str) else ""


def _traceback(error: BaseException) -> str:
    """Return the traceback of the function, without frames of this package."""
    if isinstance(error, parallel.TaskTimeoutError):
        return _without_our_frames(error.stack)
    if isinstance(error, parallel.ParallelError):
        return ""
    import traceback  # slow to import, and needed only by those who ask

    root = list(_chain(error))[-1]
    try:
        # One that comes from another process has all of the chain in the text of its root.
        is_remote = type(root).__name__ == "RemoteTraceback"
        text = str(root).strip('"\n') if is_remote else "".join(traceback.format_exception(error))
    except Exception:  # see _message
        return "(its traceback can't be shown)"
    return _without_our_frames(_NOTE.sub("", text.rstrip()))


def _without_our_frames(text: str) -> str:
    kept, is_ours = [], False
    for line in text.splitlines():
        if line.startswith('  File "'):
            is_ours = line.startswith(f'  File "{_OUR_FOLDER}')
        elif not line.startswith("    "):  # else it is the code of the frame above
            is_ours = False
        if not is_ours:
            kept.append(line)
    return "\n".join(kept)


def _shorten(line: str) -> str:
    """Make one short line of it. Its end tells as much as its begin."""
    line = " ".join(line.split())
    if len(line) <= _LONGEST_LINE:
        return line
    half = _LONGEST_LINE // 2
    return f"{line[:half]} … {line[-half:]}"
