"""Names of functions and classes that stay the same when a script becomes a module."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from typing import Any


def module_name(name: str | None) -> str:
    """Return the name of a module; that of the script for `__main__`."""
    if name not in ("__main__", "__mp_main__"):
        return name or ""
    main = sys.modules.get("__main__")
    spec = getattr(main, "__spec__", None)
    if spec is not None:  # python -m package.module
        return str(spec.name).removesuffix(".__main__")
    file = getattr(main, "__file__", None)
    return os.path.splitext(os.path.basename(file))[0] if file else "__main__"


def class_name(kind: type) -> str:
    return f"{module_name(kind.__module__)}.{kind.__qualname__}"


def function_name(func: Callable[..., Any]) -> str:
    """Return the qualified name of a function, of what a partial calls, or of an object's class."""
    while isinstance(func, functools.partial):
        func = func.func
    if not hasattr(func, "__qualname__"):
        return class_name(type(func))
    owner = getattr(func, "__self__", None)
    module = getattr(func, "__module__", None)
    if module is None:  # a method of a built-in type, bound or not
        module = getattr(func, "__objclass__", type(owner)).__module__
    return f"{module_name(module)}.{func.__qualname__}"
