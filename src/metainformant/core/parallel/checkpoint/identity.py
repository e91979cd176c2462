"""The name under which a checkpoint keeps the outcomes of a function."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import PosixPath, WindowsPath
from types import ModuleType
from typing import Any

from .keys import mark
from .names import function_name

# Longer texts are shown as digests.
_MAX_TEXT = 80
_SHOWN = {int, str, bool, float, type(None), PosixPath, WindowsPath}


def run_name(func: Callable[..., Any]) -> str:
    """Return the qualified name of a function, with all that it was given when it was made.

    That is what `functools.partial` has bound, the object whose method it is, or the object that is
    called. Of an object that wraps a function, it is the name of that function, and its own
    `run_suffix` if it has one.

    Raises:
        ValueError: for a lambda, since others may have its name; for what can't be told apart from
            others of its kind.
    """
    if isinstance(func, functools.partial):
        given = [_text(func, value) for value in func.args]
        given += [f"{name}={_text(func, each)}" for name, each in sorted(func.keywords.items())]
        return f"{run_name(func.func)}({', '.join(given)})"
    if not hasattr(func, "__qualname__"):
        wrapped = getattr(func, "__wrapped__", None)
        if not callable(wrapped):
            return _text(func, func)
        return f"{run_name(wrapped)}{getattr(func, 'run_suffix', '')}"
    name = function_name(func)
    if name.endswith("<lambda>"):
        raise ValueError(
            f"checkpoint: func={func!r} is a lambda, and all lambdas of a scope have one name. "
            "Pass Checkpoint(path, name=...) to name the run, or define the function with def"
        )
    owner = getattr(func, "__self__", None)
    if owner is None or isinstance(owner, (ModuleType, type)):
        return name
    return f"{name} of {_text(func, owner)}"


def _text(func: Callable[..., Any], value: Any) -> str:
    if type(value) in _SHOWN and len(text := repr(value)) <= _MAX_TEXT:
        return text
    if isinstance(value, (functools.partial, type)) or hasattr(value, "__qualname__"):
        return run_name(value)
    try:
        marked = mark(value)
    except TypeError as error:
        raise ValueError(
            f"checkpoint: func={func!r} can't be told from others of its kind, since what it was "
            f"given {error}. Pass Checkpoint(path, name=...) to name the run"
        ) from None
    return f"{function_name(value)}:{marked.hex() if isinstance(marked, bytes) else marked}"
