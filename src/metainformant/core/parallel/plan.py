"""The options of one call, validated once and then frozen.

This is the only place that validates: whatever comes after may rely on a Plan.
"""

from __future__ import annotations

import math
import operator
import sys
from collections.abc import Callable, Iterable, Mapping
from types import CodeType
from typing import Any, Literal, NamedTuple, SupportsFloat, SupportsIndex, TypedDict, TypeVar, cast

TYPE_CHECKING = False
if TYPE_CHECKING:
    import threading

T = TypeVar("T")

OnError = Literal["return", "raise", "skip"]
_ON_ERROR: tuple[OnError, ...] = ("return", "raise", "skip")


class Options(TypedDict, total=False):
    """For type checkers: the options that all maps share, beyond `on_error`."""

    deadline: float | None
    cancel: threading.Event | None
    max_failures: float | None
    slow_after: float | None
    max_abandoned: int


class Plan(NamedTuple):
    """What one call was asked to do. Times are in seconds."""

    caller: str  # name of the public function, for messages and worker names
    func: Callable[[Any], Any]
    max_workers: int
    chunk_size: int | None
    timeout: float | None
    ordered: bool
    on_error: OnError
    deadline: float | None
    cancel: threading.Event | None
    max_failures: float | None  # an int is a count, a float a fraction
    slow_after: float | None
    max_abandoned: int


# What a call means where it leaves an option out; `max_workers` has no common default.
_DEFAULTS: dict[str, object] = {
    "chunk_size": None,
    "timeout": None,
    "ordered": True,
    "on_error": "return",
    "deadline": None,
    "cancel": None,
    "max_failures": None,
    "slow_after": None,
    "max_abandoned": 1000,
}


def make_plan(
    caller: str,
    func: Callable[[Any], Any],
    options: Mapping[str, object],
    *,
    max_workers: object,
    **arguments: object,
) -> Plan:
    """Check everything and return the Plan; raise TypeError or ValueError that names the fix.

    `arguments` are the caller's own parameters, `options` what its users passed beyond them.
    """
    allowed = [name for name in _DEFAULTS if name not in arguments]
    for name in options:
        if name not in allowed:
            raise TypeError(_unknown(caller, name, allowed))
    check_function(caller, func)
    chosen = {**_DEFAULTS, **arguments, **options}
    return Plan(
        caller=caller,
        func=func,
        max_workers=whole(caller, "max_workers", max_workers),
        chunk_size=optional_whole(caller, "chunk_size", chosen["chunk_size"]),
        timeout=_limit(caller, "timeout", chosen["timeout"]),
        ordered=_flag(caller, "ordered", chosen["ordered"]),
        on_error=_on_error(caller, chosen["on_error"]),
        deadline=_limit(caller, "deadline", chosen["deadline"]),
        cancel=_event(caller, "cancel", chosen["cancel"]),
        max_failures=_failures(caller, "max_failures", chosen["max_failures"]),
        slow_after=_limit(caller, "slow_after", chosen["slow_after"]),
        max_abandoned=whole(caller, "max_abandoned", chosen["max_abandoned"]),
    )


def check_function(caller: str, func: object) -> None:
    """Raise TypeError unless `func` is something that a worker can call."""
    if not callable(func):
        raise TypeError(
            f"{caller}: func={func!r} is not callable; pass a function that takes one item"
        )
    code = getattr(func, "__code__", None)
    if isinstance(code, CodeType) and code.co_flags & 0x80:  # CO_COROUTINE: a call runs nothing
        raise TypeError(
            f"{caller}: func={func!r} is an async function, which a worker cannot await; "
            "pass a plain function, for example lambda item: asyncio.run(func(item))"
        )


def check_items(caller: str, items: Iterable[T]) -> Iterable[T]:
    """Return `items`, or their iterator, so that it is made only once; raise TypeError if not."""
    if isinstance(items, (list, tuple)):
        return items
    try:
        return iter(items)
    except TypeError as error:
        raise TypeError(
            f"{caller}: items={items!r} is not iterable; pass a list, or any other iterable"
        ) from error


def whole(caller: str, name: str, value: object, least: int = 1, fix: str | None = None) -> int:
    """Return `value` as an int that is not below `least`."""
    fix = fix or f"{caller}: {name}={value!r} must be a whole number, at least {least}"
    if isinstance(value, bool):
        raise TypeError(fix)
    try:
        number = operator.index(cast(SupportsIndex, value))
    except TypeError:
        raise TypeError(fix) from None
    if not least <= number <= sys.maxsize:
        raise ValueError(fix)
    return number


def optional_whole(caller: str, name: str, value: object) -> int | None:
    return None if value is None else whole(caller, name, value)


def _on_error(caller: str, value: object) -> OnError:
    for known in _ON_ERROR:
        if value == known:
            return known
    raise ValueError(f"{caller}: on_error={value!r} must be 'return', 'raise' or 'skip'")


def _event(caller: str, name: str, value: object) -> threading.Event | None:
    if value is not None and not callable(getattr(value, "is_set", None)):
        raise TypeError(
            f"{caller}: {name}={value!r} must be a threading.Event; set() it to stop the map"
        )
    return cast("threading.Event | None", value)


def _failures(caller: str, name: str, value: object) -> float | None:
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


def _limit(caller: str, name: str, value: object) -> float | None:
    if value is None:
        return None
    fix = f"{caller}: {name}={value!r} must be a number of seconds above 0, or None for no limit"
    if isinstance(value, (bool, str, bytes)):
        raise TypeError(fix)
    try:
        number = float(cast(SupportsFloat, value))
    except (TypeError, ValueError):
        raise TypeError(fix) from None
    if not 0 < number < math.inf:  # also refuses NaN
        raise ValueError(fix)
    return number


def _flag(caller: str, name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{caller}: {name}={value!r} must be True or False")
    return value


def _unknown(caller: str, name: str, known: Iterable[str]) -> str:
    import difflib  # only needed to word this error

    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"the options are {', '.join(known)}"
    return f"{caller}() got an unknown option {name!r}; {hint}"
