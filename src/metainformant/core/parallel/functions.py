"""Checks of a function that is going to be called: only what is certain is refused.

Only code flags and argument counts are looked at, which takes a microsecond. Of functions written
in C, and of objects that decide when they are called, nothing is known, and nothing is said; except
that some of Python's own can't return what is awaited.
"""

from __future__ import annotations

from functools import partial
from types import (
    BuiltinFunctionType,
    CodeType,
    CoroutineType,
    FunctionType,
    MethodDescriptorType,
    MethodType,
    ModuleType,
)

from .describe import describe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

VARARGS = 0x04  # CO_VARARGS
_VARKEYWORDS = 0x08  # CO_VARKEYWORDS
GENERATOR = 0x20  # CO_GENERATOR
_COROUTINE = 0x80  # CO_COROUTINE
_ASYNC_GENERATOR = 0x200  # CO_ASYNC_GENERATOR
_ITERABLE_COROUTINE = 0x100  # CO_ITERABLE_COROUTINE, of types.coroutine
_ASYNC = _COROUTINE | _ASYNC_GENERATOR


def check_function(
    caller: str,
    func: object,
    *,
    star: bool = False,
    kwargs: Mapping[str, Any] | None = None,
    has_state: bool = False,
    may_be_generator: bool = False,
    is_awaited: bool = False,
) -> None:
    """Raise TypeError unless `func` is something that a worker can call.

    Args:
        caller: name of the public function.
        func: what the user passed.
        star: whether the positional arguments are those in an item, instead of the item.
        kwargs: what workers are going to pass by keyword.
        has_state: whether they pass their state too, as the last positional argument.
        may_be_generator: whether what it returns is iterated.
        is_awaited: whether what it returns is awaited.
    """
    if not callable(func):
        raise TypeError(
            f"{caller}: func={func!r} is not callable; pass a function that takes one item"
        )
    if is_awaited:
        _check_async(caller, func)
    elif is_async(func):
        raise TypeError(
            f"{caller}: func={func!r} is an async function, which workers of this kind can't "
            "await; call async_map, or pass backend='asyncio' to imap, outcomes and Pool"
        )
    if not may_be_generator and flags_of(func) & GENERATOR:
        raise TypeError(
            f"{caller}: func={func!r} is a generator function: calling it runs nothing. Return a "
            "list instead, for example lambda item: list(func(item))"
        )
    _check_arguments(caller, func, star, kwargs or {}, has_state)


def _check_async(caller: str, func: object) -> None:
    """Raise TypeError if a call of `func` is certain to return nothing that can be awaited."""
    flags = flags_of(func)
    if flags & _ASYNC_GENERATOR:
        raise TypeError(
            f"{caller}: func={func!r} is an async generator function, which can't be awaited; "
            "collect what it yields in an async function"
        )
    if surely_returns_awaitable(func) or _may_return_awaitable(func):
        return
    if flags:
        raise TypeError(
            f"{caller}: func={func!r} is a plain function, and what is called here is awaited. "
            f"{_map_of_plain(caller)}; or if it returns a coroutine, make it async: "
            "async def call(item): return await func(item)"
        )
    if _is_surely_plain(func):
        kind = "class" if isinstance(func, type) else "plain function"
        raise TypeError(
            f"{caller}: func={func!r} is a {kind}, and what it returns can't be awaited. "
            f"{_map_of_plain(caller)}"
        )


def _map_of_plain(caller: str) -> str:
    if caller == "aiomap":  # whose caller must not block its event loop
        return "Call aimap with it, and collect the results by async for"
    return "Call thread_map with it"


def surely_returns_awaitable(func: object) -> bool:
    """Return whether a call of `func` is certain to return something that can be awaited."""
    return bool(flags_of(func) & (_COROUTINE | _ITERABLE_COROUTINE))


def _may_return_awaitable(func: object) -> bool:
    """Return whether a plain function says that it wraps another, or is marked as async."""
    func = _inside_partials(func)
    return hasattr(func, "__wrapped__") or hasattr(func, "_is_coroutine_mark")


# What is written in C and can't return anything that is awaited: functions of these modules, except
# those that return what they were given or have found; all methods of these types; and methods of
# containers that return None.
_PLAIN_MODULES = ("builtins", "math", "time")
_RETURN_ANYTHING = ("anext", "eval", "getattr", "max", "min", "next", "sum")
_PLAIN_TYPES = (str, bytes, bytearray, bool, int, float, complex)
_RETURN_NOTHING = ("add", "append", "discard", "extend", "remove", "update")


def _is_surely_plain(func: object) -> bool:
    """Return whether something without Python code can't return what can be awaited."""
    func = _inside_partials(func)
    if isinstance(func, type):
        metaclass: Any = type(func)
        make: Any = func.__new__
        # If neither is overridden, a call returns an object of this class.
        is_usual = metaclass.__call__ is type.__call__
        is_usual = is_usual and (make is object.__new__ or func.__module__ == "builtins")
        return is_usual and not hasattr(func, "__await__")
    if isinstance(func, MethodDescriptorType):
        return func.__objclass__ in _PLAIN_TYPES
    if not isinstance(func, BuiltinFunctionType):
        return False
    owner, name = func.__self__, func.__name__
    if isinstance(owner, ModuleType):
        return owner.__name__ in _PLAIN_MODULES and name not in _RETURN_ANYTHING
    kind = owner if isinstance(owner, type) else type(owner)
    return kind in _PLAIN_TYPES or (kind in (list, set, dict) and name in _RETURN_NOTHING)


def _inside_partials(func: object) -> object:
    while isinstance(func, partial):
        func = func.func
    return func


def is_async(func: object) -> bool:
    """Return whether a call of it runs nothing, but makes a coroutine or an async generator."""
    return bool(flags_of(func) & _ASYNC)


def fail_coroutines(func: object, values: list[Any], failed: dict[int, BaseException]) -> None:
    """Replace coroutines that `func` has returned, and that nobody would await, by failures.

    Args:
        func: what was called.
        values: what it returned, or raised, by position.
        failed: what it raised.
    """
    for position, value in enumerate(values):
        if type(value) is CoroutineType:
            value.close()  # else it warns
            values[position] = failed[position] = TypeError(
                f"{func!r} returned a coroutine, which nobody awaits. To call an async function, "
                "pass async_map a function that awaits it"
            )
    in_order = sorted(failed.items())
    failed.clear()
    failed.update(in_order)


def flags_of(func: object) -> int:
    func = _inside_partials(func)
    for called in (func, getattr(type(func), "__call__", None)):  # noqa: B004  # asks for its code
        code = getattr(called, "__code__", None)
        if isinstance(code, CodeType):
            return code.co_flags
    return 0


def _check_arguments(
    caller: str, func: Any, star: bool, kwargs: Mapping[str, Any], has_state: bool
) -> None:
    """Raise TypeError if a call with these arguments is certain to fail."""
    found = called(func)
    if found is None:
        return
    target, bound, given = found
    given |= set(kwargs)
    code = target.__code__
    names = code.co_varnames[: code.co_argcount]
    only_by_keyword = code.co_varnames[code.co_argcount :][: code.co_kwonlyargcount]
    # How many positional arguments there are; with `star` there may be more.
    count = (0 if star else 1) + has_state
    if kwargs:
        by_position = max(code.co_posonlyargcount, bound + count)
        free = (*names[by_position:], *only_by_keyword)
        for name in kwargs:
            _check_keyword(caller, func, kwargs, name, free, code)
    what = _in_words(star, bool(kwargs), has_state)
    required = names[: code.co_argcount - len(target.__defaults__ or ())]
    missing = [] if star else [name for name in required[bound + count :] if name not in given]
    missing += [
        name
        for name in only_by_keyword
        if name not in given and name not in (target.__kwdefaults__ or ())
    ]
    if missing:
        raise TypeError(
            f"{caller}: func={func!r} is called with {what} and nothing else, and needs "
            f"{', '.join(missing)} too. For constants pass kwargs={{'{missing[-1]}': ...}}, or "
            f"functools.partial(func, {missing[-1]}=...) as the function"
            + ("" if star else "; if each item holds several arguments, pass star=True")
        )
    if not code.co_flags & VARARGS and len(names) < bound + count:
        takes = len(names) - bound
        raise TypeError(
            f"{caller}: func={func!r} is called with {what}, and takes "
            f"{'no argument' if takes < 1 else 'one argument'}"
            + ("; worker_state is passed as the last positional argument" if has_state else "")
        )


def called(func: Any) -> tuple[FunctionType, int, set[str]] | None:
    """Return the Python function that a call of `func` runs; None if that is not certain.

    With it come how many positional arguments it gets before those of the call, and the names of
    those that it gets by keyword.
    """
    bound = 0
    given: set[str] = set()
    while isinstance(func, partial):
        bound += len(func.args)
        given.update(func.keywords)
        func = func.func
    target, own = _code_of_call(func)
    # Any attribute but these may change what a call does, as `functools.wraps` and mocks have.
    if not isinstance(target, FunctionType) or target.__dict__:
        return None
    return target, bound + own, given


def _code_of_call(target: Any) -> tuple[Any, int]:
    """Return the function that a call runs, and how many arguments it gets by itself.

    That is `__init__` of a class that makes its objects as usual, and `__call__` of an object.
    """
    if isinstance(target, MethodType):
        return target.__func__, 1
    if isinstance(target, FunctionType):
        return target, 0
    if not isinstance(target, type):
        return _attribute(type(target), "__call__"), 1
    makes_as_usual = _attribute(target, "__new__") is vars(object)["__new__"]
    if makes_as_usual and type(target).__call__ is type.__call__:
        return _attribute(target, "__init__"), 1
    return None, 0


def _attribute(kind: type, name: str) -> object:
    """Return what a class or its bases define under this name, without binding it."""
    return next((vars(base)[name] for base in kind.__mro__ if name in vars(base)), None)


def _check_keyword(
    caller: str,
    func: object,
    kwargs: Mapping[str, Any],
    name: str,
    free: tuple[str, ...],
    code: CodeType,
) -> None:
    """Raise TypeError if the function can't be given this argument by keyword."""
    names = code.co_varnames[: code.co_argcount]
    if name in free or (code.co_flags & _VARKEYWORDS and name not in names):
        return
    what = (
        f"func={func!r} gets by position already"
        if name in names
        else f"is not an argument of func={func!r}"
    )
    raise TypeError(
        f"{caller}: kwargs={describe(kwargs)} has {name!r}, which {what}; "
        + (f"what can be passed by keyword is {', '.join(free)}" if free else "leave it out")
    )


def _in_words(star: bool, has_kwargs: bool, has_state: bool) -> str:
    parts = ["the arguments in an item" if star else "an item"]
    if has_state:
        parts.append("the worker's state")
    if has_kwargs:
        parts.append("kwargs")
    return " and ".join(parts)
