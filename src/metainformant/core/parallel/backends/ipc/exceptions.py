"""Exceptions from another process, with their causes, notes and origins.

A traceback can't be pickled. Instead, the last exception of a chain gets a cause of its own, which
shows the frames of all of them, as `concurrent.futures` does. They are formatted only if somebody
looks.
"""

from __future__ import annotations

import pickle
import re
from importlib.util import find_spec
from types import TracebackType
from typing import NamedTuple

from ...describe import error_in_words
from ...errors import Frame, ParallelError, format_stack
from ...worker.frames import own_code
from .exception_state import dump_exception, load_exception
from .pickling import dumps

# Longer chains of causes are cut.
_LONGEST_CHAIN = 20


class RemoteTraceback(Exception):  # noqa: N818  # what `concurrent.futures` calls it
    """The traceback of an exception that was raised in another process."""

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


def pack(error: BaseException) -> bytes:
    """Pickle an exception and its causes; frames of our own code are left out."""
    chain: list[tuple[str, _Packed]] = []
    link, current = "", error
    seen: set[int] = set()
    while len(chain) < _LONGEST_CHAIN and id(current) not in seen:
        seen.add(id(current))
        chain.append((link, _pack_one(current)))
        if current.__cause__ is not None:
            link, current = "cause", current.__cause__
        elif current.__context__ is not None and not current.__suppress_context__:
            link, current = "context", current.__context__
        else:
            break
    return dumps(chain)


def _pack_one(error: BaseException) -> _Packed:
    try:
        pickled = dump_exception(error)
    except Exception:
        pickled = None
    return _Packed(pickled, error_in_words(error), frames_of(error), error.__suppress_context__)


def frames_of(error: BaseException) -> tuple[Frame, ...]:
    """Return where an exception was raised, outermost call first, without frames of ours."""
    frames: list[Frame] = []
    step: TracebackType | None = error.__traceback__
    while step is not None:
        code = step.tb_frame.f_code
        if code not in own_code:
            frames.append((code.co_filename, step.tb_lineno, code.co_name))
        step = step.tb_next
    return tuple(frames)


def unpack(record: bytes, worker: str) -> BaseException:
    """Read an exception with its causes; one that can't be read is replaced by its text."""
    chain: list[tuple[str, _Packed]] = pickle.loads(record)
    first: BaseException | None = None
    last: BaseException | None = None
    parts = []
    for link, packed in chain:
        error = _unpack_one(packed)
        if last is None:
            first = error
        elif link == "cause":
            _set(last, "__cause__", error)
        else:
            _set(last, "__context__", error)
        last = error
        _set(error, "__suppress_context__", packed.suppress_context)
        parts.append((packed.text, packed.frames))
    assert first is not None and last is not None  # noqa: PT018, S101
    parts.reverse()
    _set(last, "__cause__", RemoteTraceback(worker, parts))
    return first


def _set(error: BaseException, name: str, value: object) -> None:
    """Set an attribute of any exception, even of one whose class allows that to nobody."""
    BaseException.__setattr__(error, name, value)


def _unpack_one(packed: _Packed) -> BaseException:
    reason = "pickled"
    if packed.pickled is not None:
        try:
            error = load_exception(packed.pickled)
            if isinstance(error, BaseException):
                return error
        except Exception as failure:
            reason = f"read: {error_in_words(failure)}"
    return ParallelError(f"{packed.text} (the exception itself could not be {reason})")


def unpicklable(what: str, error: BaseException) -> ParallelError:
    """Make the failure of an item, a result or a function that can't be pickled."""
    text = error_in_words(error)
    if "through inheritance" in text:  # what multiprocessing says of its locks and queues
        fix = "Give it to each worker with initializer= and initargs=, or use that of a Manager"
    elif "an open file" in text:
        fix = "Open it in the task"
    else:
        fix = "Use what is defined at the top level of a module"
        if find_spec("cloudpickle") is None:
            fix += ", or pip install 'metainformant[process]'"
    return ParallelError(
        f"{what} can't be pickled, which it must be to get to another process: {text}. {fix}."
    )


def unreadable_result(error: Exception) -> ParallelError:
    """Make the failure of an item whose result can't be read in the process of the caller."""
    failure = ParallelError(
        f"the result can't be read: {error_in_words(error)}. "
        "Return what can be pickled and read again here."
    )
    failure.__cause__ = error
    return failure


def refused_module(error: BaseException) -> str:
    """Say how to do without a module that caused the error by refusing interpreters; or nothing."""
    cause: BaseException | None = error
    for _ in range(_LONGEST_CHAIN):
        if cause is None:
            break
        found = _REFUSED.search(str(cause))
        if found is not None:
            return (
                f". The extension module {found[1]!r} can't be imported in a subinterpreter: "
                "use process_map (backend='process') for what needs it."
            )
        cause = cause.__cause__ or cause.__context__
    return ""


_REFUSED = re.compile(r"module (\S+) does not support loading in subinterpreters")
