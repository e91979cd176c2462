"""The code of this package that calls tasks: its frames are left out of tracebacks and stacks."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, TracebackType
    from typing import TypeVar

    F = TypeVar("F", bound=Callable[..., object])

# Added to when modules are imported and when closures are made; never removed from.
own_code: set[CodeType] = set()


def own_frame(func: F) -> F:
    """Leave the frames of `func` out of what users see of their tasks."""
    own_code.add(func.__code__)
    return func


def is_own(file: str, name: str) -> bool:
    """Return whether a frame that is known by its file and function name only is one of ours."""
    return any(code.co_filename == file and code.co_name == name for code in own_code)


# Generators and coroutines. Before CPython 3.13, clearing the frame of one closes it.
_SUSPENDABLE = 0x20 | 0x80 | 0x200 if sys.version_info < (3, 13) else 0


def clear_locals(error: BaseException, *, raised_again: bool = False) -> None:
    """Drop the local variables of the frames that an exception has come through.

    Its traceback keeps files, lines and functions, and so its text. Frames that still run keep all.
    An object that is `raised_again` gets its new frames in front of those of before, which have
    been cleared: only the first 10 are, or 10,000 failures would take 50,000,000 steps.
    """
    _clear(error.__traceback__, 10 if raised_again else sys.maxsize)
    if error.__cause__ is error.__context__ is None and not isinstance(error, BaseExceptionGroup):
        return  # most are alone, and this runs for each failure
    seen: set[int] = {id(error)}
    todo = _related(error)
    while todo:
        one = todo.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        _clear(one.__traceback__, sys.maxsize)
        todo += _related(one)


def _related(error: BaseException) -> list[BaseException | None]:
    inner = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    return [error.__cause__, error.__context__, *inner]


def _clear(traceback: TracebackType | None, most: int) -> None:
    while traceback is not None and most > 0:
        frame = traceback.tb_frame
        if not frame.f_code.co_flags & _SUSPENDABLE:
            try:  # noqa: SIM105  # contextlib takes longer
                frame.clear()
            except RuntimeError:  # it still runs
                pass
        traceback = traceback.tb_next
        most -= 1
