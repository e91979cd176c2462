"""The code of this package that calls tasks: its frames are left out of tracebacks and stacks."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType
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
