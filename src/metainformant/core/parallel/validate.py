"""Checks of arguments: each returns the argument, or raises an error that names the fix."""

from __future__ import annotations

import math
import operator
import sys

from .describe import describe
from .functions import is_async

TYPE_CHECKING = False
if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable
    from concurrent.futures import Executor
    from typing import Any, Literal, TypeVar

    T = TypeVar("T")
    OnError = Literal["return", "raise", "skip"]
    from distributed import Client

    BackendName = Literal[
        "thread", "process", "interpreter", "asyncio", "serial", "executor", "cluster"
    ]
    # What users pass as `cluster`, and as `backend`.
    ClusterOption = Literal["dask", "ray"] | Client
    BackendOption = (
        Literal["thread", "process", "interpreter", "asyncio", "serial"] | Executor | ClusterOption
    )
    StartMethod = Literal["spawn", "forkserver", "fork"]
    # Which failures are worth another attempt: exception classes, or a function that decides.
    RetryOn = tuple[type[BaseException], ...] | Callable[[BaseException], object]

_ON_ERROR: tuple[OnError, ...] = ("return", "raise", "skip")
_BACKENDS: tuple[BackendName, ...] = ("thread", "process", "interpreter", "asyncio", "serial")


def plain(caller: str, name: str, value: Any) -> Any:
    """Return `value`; raise TypeError if it is an async function."""
    if is_async(value):
        raise TypeError(
            f"{caller}: {name}={value!r} is an async function, which would never be awaited; "
            "pass a plain function"
        )
    return value


def check_items(caller: str, items: Iterable[T], *, star: bool = False) -> Iterable[T]:
    """Return `items` if it is a list or tuple, or else its iterator, which is made only once.

    The items of a data frame are its rows, in the form that suits `star`.
    """
    if isinstance(items, (list, tuple)):
        return items
    if hasattr(type(items), "columns"):  # of some, the columns themselves are slow to get
        from .frames import rows_of  # needed only by those who have some

        rows = rows_of(caller, items, star=star)
        items = items if rows is None else rows
    try:
        return iter(items)
    except TypeError as error:
        raise TypeError(
            f"{caller}: items={describe(items)} is not iterable; {_iterable_instead(items)}"
        ) from error


def _iterable_instead(items: object) -> str:
    if hasattr(items, "__aiter__"):
        return "collect it first: [item async for item in items]"
    if hasattr(items, "get_nowait"):
        return "iter(items.get, END) reads a queue until it gives END"
    if callable(items):
        return "call it, if it returns or yields the items"
    return "pass a list, or any other iterable"


_ONE_ITERABLE = "A map takes one iterable; for several arguments pass zip(a, b) and star=True"


def one_iterable(caller: str, more: tuple[object, ...]) -> None:
    """Raise TypeError if there are further arguments by position."""
    if more:
        raise TypeError(f"{caller}: {describe(more[0])} is one argument too many. {_ONE_ITERABLE}")


def whole(caller: str, name: str, value: Any, least: int = 1, fix: str | None = None) -> int:
    """Return `value` as an int that is not below `least`."""
    fix = fix or f"{caller}: {name}={value!r} must be a whole number, at least {least}"
    if isinstance(value, bool):
        raise TypeError(fix)
    try:
        number = operator.index(value)
    except TypeError:
        if hasattr(value, "__iter__") and not isinstance(value, (str, bytes)):
            fix = f"{fix}. {_ONE_ITERABLE}"
        raise TypeError(fix) from None
    if not least <= number <= sys.maxsize:
        raise ValueError(fix)
    return number


def optional_whole(caller: str, name: str, value: object) -> int | None:
    return None if value is None else whole(caller, name, value)


_UNITS = {
    "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
    "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40,
}  # fmt: skip


def optional_size(caller: str, name: str, value: object) -> int | None:
    """Return a number of bytes, or None."""
    fix = (
        f"{caller}: {name}={value!r} must be a whole number of bytes, at least 1, or a text "
        "such as '2GB' or '512 MiB' (KB, MB, GB are powers of 1000, KiB, MiB, GiB of 1024)"
    )
    if not isinstance(value, str):
        return None if value is None else whole(caller, name, value, fix=fix)
    import re  # needed only by those who ask for it

    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?i?B)\s*", value, re.IGNORECASE)
    unit = _UNITS.get(found[2].upper()) if found else None
    if found is None or unit is None:
        raise ValueError(fix)
    return whole(caller, name, int(float(found[1]) * unit), fix=fix)


def on_error(caller: str, name: str, value: object) -> OnError:
    for known in _ON_ERROR:
        if value == known:
            return known
    raise ValueError(f"{caller}: {name}={value!r} must be 'return', 'raise' or 'skip'")


def backend(caller: str, value: object) -> BackendName:
    for known in _BACKENDS:
        if value == known:
            return known
    if is_cluster(value):
        return "cluster"
    if not isinstance(value, str):
        from concurrent.futures import Executor  # slow to import

        if isinstance(value, Executor):
            return "executor"
    is_count = value is None or isinstance(value, int)
    raise ValueError(
        f"{caller}: backend={value!r} must be 'thread', 'process', 'interpreter', 'asyncio', "
        "'serial', 'dask', 'ray', a concurrent.futures.Executor, or a distributed.Client"
        + (f"; a number of workers is max_workers={value!r}" if is_count else "")
    )


def is_cluster(value: object) -> bool:
    """Return whether that is a cluster, or names one."""
    if isinstance(value, str):
        return value in ("dask", "ray")
    distributed = sys.modules.get("distributed")  # whoever has a client has imported it
    return distributed is not None and isinstance(value, distributed.Client)


def cluster(caller: str, value: object) -> object:
    if not is_cluster(value):
        raise ValueError(
            f"{caller}: cluster={value!r} must be a distributed.Client, 'dask' for the current "
            "one, or 'ray'"
        )
    return value


def start_method(caller: str, name: str, value: Any) -> StartMethod | None:
    if value is None:
        return None
    from multiprocessing import get_all_start_methods

    # loky, once imported, adds methods of its own there.
    known = [name for name in get_all_start_methods() if name in ("fork", "forkserver", "spawn")]
    if value not in known:
        raise ValueError(
            f"{caller}: {name}={value!r} must be one that this platform has, "
            f"{', '.join(map(repr, known))}, or None"
        )
    return value  # type: ignore[no-any-return]


def event(caller: str, name: str, value: Any) -> threading.Event | None:
    is_set = getattr(value, "is_set", None)
    if value is not None and (isinstance(value, type) or not callable(is_set)):
        raise TypeError(
            f"{caller}: {name}={value!r} must be a threading.Event; set() it to stop the map"
        )
    return value


def failures(caller: str, name: str, value: object) -> float | None:
    fix = (
        f"{caller}: {name}={value!r} must be a count (0 or more), "
        "a fraction between 0 and 1 as a float, or None for any number"
    )
    if value is None:
        return None
    if isinstance(value, float):
        if not 0 < value < 1:
            raise ValueError(fix)
        return value
    return whole(caller, name, value, least=0, fix=fix)


def limit(caller: str, name: str, value: object) -> float | None:
    """Return a number of seconds above 0, or None."""
    if value is None:
        return None
    fix = f"{caller}: {name}={value!r} must be a number of seconds above 0, or None for no limit"
    return positive(value, fix)


def cost(caller: str, name: str, value: object) -> float | None:
    """Return a number above 0, or None."""
    fix = f"{caller}: {name}={value!r} must be a number of units above 0, or None for no limit"
    return None if value is None else positive(value, fix)


def positive(value: Any, fix: str, *, or_zero: bool = False) -> float:
    """Return `value` as a finite number above 0."""
    if isinstance(value, (bool, str, bytes)):
        raise TypeError(fix)
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(fix) from None
    except OverflowError:  # a whole number that is too large
        raise ValueError(fix) from None
    if not 0 <= number < math.inf or (number == 0 and not or_zero):  # also refuses NaN
        raise ValueError(fix)
    return number


def flag(caller: str, name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{caller}: {name}={value!r} must be True or False")
    return value


def keywords(caller: str, name: str, value: Any) -> dict[str, Any]:
    """Return a copy of a mapping of names to values."""
    fix = f"{caller}: {name}={describe(value)} must be a dict of argument names and their values"
    if not hasattr(value, "keys"):
        raise TypeError(fix)
    copy = dict(value)
    if not all(isinstance(key, str) for key in copy):
        raise TypeError(fix)
    return copy


def seed(caller: str, name: str, value: Any) -> int:
    """Return a whole number of any size, 0 or more."""
    fix = f"{caller}: {name}={value!r} must be a whole number, 0 or more, or None for no seed"
    if isinstance(value, bool):
        raise TypeError(fix)
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(fix) from None
    if number < 0:
        raise ValueError(fix)
    return number


def anything(caller: str, name: str, value: Any) -> Any:
    return value


def retry_on(caller: str, name: str, value: object) -> RetryOn:
    if isinstance(value, type) and issubclass(value, BaseException):
        return (value,)
    if isinstance(value, (tuple, list)):
        if all(isinstance(kind, type) and issubclass(kind, BaseException) for kind in value):
            return tuple(value)
    elif callable(value) and not isinstance(value, type):
        return plain(caller, name, value)  # type: ignore[no-any-return]
    raise TypeError(
        f"{caller}: {name}={value!r} must be an exception class, a tuple of them, "
        "or a function that is given the exception and returns whether to try again"
    )


def throttled(caller: str, name: str, value: object) -> RetryOn | None:
    if value is None:
        return None
    try:
        return retry_on(caller, name, value)
    except TypeError:
        raise TypeError(
            f"{caller}: {name}={value!r} must be an exception class, a tuple of them, a function "
            "that is given the exception and returns whether it means 'slow down', or None"
        ) from None


def backoff(caller: str, name: str, value: object) -> float | Callable[[int, BaseException], float]:
    if callable(value):
        return plain(caller, name, value)  # type: ignore[no-any-return]
    fix = (
        f"{caller}: {name}={value!r} must be the seconds before the first retry, 0 or more, "
        "or a function of the attempt and its error that returns seconds"
    )
    return positive(value, fix, or_zero=True)


def optional_callable(
    caller: str, name: str, value: object, takes: str, *, may_be_async: bool = False
) -> Any:
    if value is not None and not callable(value):
        raise TypeError(f"{caller}: {name}={value!r} must be a function that takes {takes}")
    return value if may_be_async else plain(caller, name, value)


def progress(caller: str, name: str, value: object) -> Any:
    if value is None or isinstance(value, (bool, str)) or callable(value):
        return plain(caller, name, value) or None
    raise TypeError(
        f"{caller}: {name}={value!r} must be True for a bar, a string for its label, "
        "or a function that takes a Progress"
    )
