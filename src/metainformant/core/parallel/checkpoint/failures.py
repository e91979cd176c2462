"""Failures as they are kept: in words for whoever reads the file, and as an object for a resume."""

from __future__ import annotations

import base64
import contextlib
import json
import pickle
import traceback
from collections.abc import Mapping
from typing import Any, NamedTuple

from ..describe import describe
from .codec import unpickle
from .errors import RecordedFailureError
from .names import class_name

# Characters of a message or traceback that are kept: the first and the last half of these.
_MAX_TEXT = 20_000


class Failure(NamedTuple):
    """A failure as text.

    Attributes:
        item: the item, shortened.
        kind: the qualified name of the exception's class.
        message: its text.
        notes: its notes.
        traceback: its traceback as text, those of its causes included.
        pickle: the exception itself in base85; empty if it can't be pickled.
    """

    item: str
    kind: str
    message: str
    notes: list[str]
    traceback: str
    pickle: str = ""


def record_failure(error: BaseException, item: object) -> Failure:
    """Return what is kept of `error`. It never fails, whatever the exception does."""
    notes = [str(note) for note in getattr(error, "__notes__", None) or ()]
    try:
        message = str(error)
    except Exception:
        message = "<its text can't be had>"
    try:
        lines = traceback.format_exception(error)
    except Exception:
        lines = [class_name(type(error))]
    kept = ""
    with contextlib.suppress(Exception):
        data = pickle.dumps(error, protocol=5)
        unpickle(0, data)  # some fail only here
        kept = base64.b85encode(data).decode()
    return Failure(
        describe(item),
        class_name(type(error)),
        _shortened(message),
        [_shortened(note) for note in notes],
        _shortened("".join(lines)),
        kept,
    )


def rebuild_failure(failure: Failure) -> BaseException:
    """Return the exception of a recorded failure, with its traceback as a note."""
    error: BaseException | None = None
    if failure.pickle:
        with contextlib.suppress(Exception):
            loaded = unpickle(0, base64.b85decode(failure.pickle))
            if isinstance(loaded, BaseException):
                error = loaded
    if error is None:
        error = RecordedFailureError(failure.kind, failure.message, failure.traceback)
        for note in failure.notes:
            error.add_note(note)
    with contextlib.suppress(Exception):
        error.add_note(f"recorded by an earlier run:\n{failure.traceback.rstrip()}")
    return error


def encode_failures(failures: Mapping[int, Failure]) -> str | None:
    if not failures:
        return None
    return json.dumps({position: failure._asdict() for position, failure in failures.items()})


def decode_failures(text: str | None) -> dict[int, Failure]:
    if text is None:
        return {}
    known: dict[str, Any] = json.loads(text)
    return {int(position): Failure(**fields) for position, fields in known.items()}


def _shortened(text: str) -> str:
    if len(text) <= _MAX_TEXT:
        return text
    half = _MAX_TEXT // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half} characters ...]\n{text[-half:]}"
