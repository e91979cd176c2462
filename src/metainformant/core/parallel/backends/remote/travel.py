"""Exceptions on their way from another process: with their causes, notes, and origins.

A traceback can't be pickled. Instead, the last exception of a chain gets a cause of its own, which
shows the frames of all of them, as `concurrent.futures` does. They are formatted only if somebody
looks.
"""

from __future__ import annotations

import pickle
from types import CodeType, TracebackType
from typing import NamedTuple

from ...errors import Frame, ParallelError, format_stack
from .parcel import LARGE, dumps

# Longer chains of causes are cut.
_LONGEST_CHAIN = 20
# The most that an exception which is replaced by its text may say.
_LONGEST_TEXT = 10_000


class RemoteTraceback(Exception):  # noqa: N818  # what `concurrent.futures` calls it
    """Where an exception was raised in another process."""

    def __init__(self, worker: str, parts: list[tuple[str, tuple[Frame, ...]]]) -> None:
        super().__init__(worker, parts)
        self.worker = worker
        self.parts = parts

    def __str__(self) -> str:
        texts = [
            f"Traceback (most recent call last) in {self.worker}:\n{format_stack(frames)}{name}"
            for name, frames in self.parts
        ]
        return '\n"""\n' + "\n\n".join(texts) + '\n"""'


class _Packed(NamedTuple):
    """An exception, pickled on its own, since it may fail to be read where it arrives."""

    pickled: bytes | None
    text: str
    frames: tuple[Frame, ...]
    suppress_context: bool


def pack(error: BaseException, ours: frozenset[CodeType]) -> bytes:
    """The exception and its causes; frames of the code in `ours` are left out."""
    chain: list[tuple[str, _Packed]] = []
    link, current = "", error
    seen: set[int] = set()
    while len(chain) < _LONGEST_CHAIN and id(current) not in seen:
        seen.add(id(current))
        chain.append((link, _pack_one(current, ours)))
        if current.__cause__ is not None:
            link, current = "cause", current.__cause__
        elif current.__context__ is not None and not current.__suppress_context__:
            link, current = "context", current.__context__
        else:
            break
    record = dumps(chain)
    if len(record) < LARGE:
        return record
    link, packed = chain[0]
    return dumps([(link, packed._replace(pickled=None, frames=packed.frames[-100:]))])


def _pack_one(error: BaseException, ours: frozenset[CodeType]) -> _Packed:
    try:
        pickled = dumps(error)
    except Exception:
        pickled = None
    return _Packed(pickled, _in_words(error), frames_of(error, ours), error.__suppress_context__)


def _in_words(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:
        text = "<its text can't be shown>"
    name = type(error).__qualname__
    return f"{name}: {text}"[:_LONGEST_TEXT] if text else name


def frames_of(error: BaseException, ours: frozenset[CodeType]) -> tuple[Frame, ...]:
    frames: list[Frame] = []
    step: TracebackType | None = error.__traceback__
    while step is not None:
        code = step.tb_frame.f_code
        if code not in ours:
            frames.append((code.co_filename, step.tb_lineno, code.co_name))
        step = step.tb_next
    return tuple(frames)


def unpack(record: bytes, worker: str) -> BaseException:
    """The exception, with its causes; one that can't be read is replaced by what it said."""
    chain: list[tuple[str, _Packed]] = pickle.loads(record)
    first: BaseException | None = None
    last: BaseException | None = None
    parts = []
    for link, packed in chain:
        error = _unpack_one(packed)
        if last is None:
            first = error
        elif link == "cause":
            last.__cause__ = error
        else:
            last.__context__ = error
        last = error
        error.__suppress_context__ = packed.suppress_context
        parts.append((packed.text, packed.frames))
    assert first is not None and last is not None  # noqa: PT018, S101
    parts.reverse()
    last.__cause__ = RemoteTraceback(worker, parts)
    return first


def _unpack_one(packed: _Packed) -> BaseException:
    reason = "pickled"
    if packed.pickled is not None:
        try:
            error = pickle.loads(packed.pickled)
            if isinstance(error, BaseException):
                return error
        except Exception as failure:
            reason = f"read: {_in_words(failure)}"
    return ParallelError(f"{packed.text} (the exception itself could not be {reason})")


def unpicklable(what: str, error: BaseException) -> ParallelError:
    """What is said of an item, a result or a function that can't be pickled."""
    fix = "" if _has_cloudpickle() else ", or pip install 'metainformant[process]'"
    return ParallelError(
        f"{what} can't be pickled, which it must be to get to another process: "
        f"{_in_words(error)}. Use what is defined at the top level of a module{fix}."
    )


def _has_cloudpickle() -> bool:
    from importlib.util import find_spec

    return find_spec("cloudpickle") is not None
