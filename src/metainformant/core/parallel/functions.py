"""Checks of a function that is going to be called: only what is certain is refused.

Only code flags and argument counts are looked at, which takes a microsecond. Of functions written
in C, and of objects that decide when they are called, nothing is known, and nothing is said.
"""

from __future__ import annotations

from functools import partial
from types import CodeType, FunctionType, MethodType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_VARARGS = 0x04  # CO_VARARGS
_GENERATOR = 0x20  # CO_GENERATOR
_ASYNC = 0x280  # CO_COROUTINE, CO_ASYNC_GENERATOR


def check_function(
    caller: str, func: object, arguments: int = 1, *, may_be_generator: bool = False
) -> None:
    """Raise TypeError unless `func` is something that a worker can call.

    Args:
        caller: name of the public function.
        func: what the user passed.
        arguments: how many positional arguments workers are going to pass.
        may_be_generator: whether what it returns is iterated.
    """
    if not callable(func):
        raise TypeError(
            f"{caller}: func={func!r} is not callable; pass a function that takes one item"
        )
    if is_async(func):
        raise TypeError(
            f"{caller}: func={func!r} is an async function, which a worker cannot await; "
            "pass a plain function, for example lambda item: asyncio.run(func(item))"
        )
    if not may_be_generator and _flags(func) & _GENERATOR:
        raise TypeError(
            f"{caller}: func={func!r} is a generator function: calling it runs nothing. Return a "
            "list instead, for example lambda item: list(func(item))"
        )
    _check_arguments(caller, func, arguments)


def is_async(func: object) -> bool:
    """Return whether a call of it runs nothing, but makes a coroutine or an async generator."""
    return bool(_flags(func) & _ASYNC)


def _flags(func: object) -> int:
    while isinstance(func, partial):
        func = func.func
    for called in (func, getattr(type(func), "__call__", None)):  # noqa: B004  # asks for its code
        code = getattr(called, "__code__", None)
        if isinstance(code, CodeType):
            return code.co_flags
    return 0


def _check_arguments(caller: str, func: Any, count: int) -> None:
    """Raise TypeError if a call with so many positional arguments is certain to fail."""
    target, bound = func, 0
    given: set[str] = set()  # arguments that are passed by keyword
    while isinstance(target, partial):
        bound += len(target.args)
        given.update(target.keywords)
        target = target.func
    if isinstance(target, MethodType):
        target, bound = target.__func__, bound + 1
    # Any attribute but these may change what a call does, as `functools.wraps` and mocks have.
    if type(target) is not FunctionType or target.__dict__:
        return
    code = target.__code__
    names = code.co_varnames[: code.co_argcount]
    required = names[: code.co_argcount - len(target.__defaults__ or ())]
    only_by_keyword = code.co_varnames[code.co_argcount :][: code.co_kwonlyargcount]
    missing = [name for name in required[bound + count :] if name not in given]
    missing += [
        name
        for name in only_by_keyword
        if name not in given and name not in (target.__kwdefaults__ or ())
    ]
    what = "an item" if count == 1 else "an item and the worker's state"
    if missing:
        raise TypeError(
            f"{caller}: func={func!r} is called with {what} and nothing else, and needs "
            f"{', '.join(missing)} too. For constants use functools.partial(func, "
            f"{missing[-1]}=...); if each item holds several arguments, "
            "lambda item: func(*item), or a function that takes them apart"
        )
    if not code.co_flags & _VARARGS and len(names) < bound + count:
        takes = len(names) - bound
        raise TypeError(
            f"{caller}: func={func!r} is called with {what}, and takes "
            f"{'no argument' if takes < 1 else 'one argument'}"
            + ("; worker_state is passed as the second argument" if count > 1 else "")
        )
