"""Any Python value as JSON."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import json
import math
import numbers
import os
from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping
from typing import Any


class UnfitValueError(ValueError):
    """A value that can't be written."""


_NO_TIME = "NaT"  # what NumPy and pandas call a missing date or duration


def to_json(value: Any) -> str:
    """Write `value` as valid JSON on one line; what JSON has no word for, as `plain` has it.

    NaN and the infinities become null, and keys of dicts text.

    Raises:
        UnfitValueError: see `plain`.

    >>> to_json({"gc": float("nan"), (1, 2): {3}})
    '{"gc": null, "(1, 2)": [3]}'
    """
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, default=plain)
    except (TypeError, ValueError):  # a NaN, an odd key, or a value that contains itself
        try:
            return json.dumps(_clean(value), ensure_ascii=False, allow_nan=False)
        except RecursionError:
            return json.dumps(repr(value), ensure_ascii=False)


def plain(value: Any) -> Any:
    """Return the nearest thing that JSON knows; `repr(value)` if nothing else fits.

    A dataclass becomes an object; a mapping too; a set, a sorted list; bytes, text; a path, its
    text; an enum, its value; a date or time, its ISO form; numbers that JSON has no word for
    (complex, Decimal, Fraction) and durations, their text; arrays and scalars of NumPy and the
    like, lists and whatever their elements become; what stands for a missing date, None. Only the
    outermost container is converted.
    """
    match value:
        case None | bool() | int() | float() | str() | list() | tuple() | dict():
            return value
        case enum.Enum():
            return plain(value.value)
        case bytes() | bytearray() | memoryview():
            return bytes(value).decode("utf-8", "backslashreplace")
        case set() | frozenset():
            return _sorted(value)
        case os.PathLike():
            return os.fspath(value)
        case datetime.date() | datetime.time():
            text = value.isoformat()
            return None if text == _NO_TIME else text
        case numbers.Number() | datetime.timedelta():
            return _number(value)
        case Mapping():
            return dict(value)
        case Awaitable() | AsyncIterator():
            if callable(close := getattr(value, "close", None)):
                close()  # else there is a warning later
            fix = "awaits it" if isinstance(value, Awaitable) else "collects its values"
            raise UnfitValueError(
                f"the result is of the type {type(value).__name__}, for which nobody would wait "
                f"here; make the function an async def that {fix}"
            )
        case Iterator():
            raise UnfitValueError(
                f"the result is of the type {type(value).__name__}, whose values nobody would "
                "take; return list(...) of it"
            )
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, type):
        return repr(value)
    if getattr(getattr(value, "dtype", None), "kind", None) in ("m", "M"):
        # tolist() would make bare integers of dates with nanoseconds.
        return list(value) if getattr(value, "ndim", 0) else _time(value)
    for method in ("tolist", "item"):
        if callable(getattr(value, method, None)):
            return plain(getattr(value, method)())
    return repr(value)


def scalar(value: Any) -> bool | int | float | str | bytes | None:
    """Return a value as a cell that has a type: itself if it is a scalar or bytes, else JSON.

    Text is such that UTF-8 can hold it: odd bytes in file names arrive as lone surrogates.
    """
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    value = plain(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (int, float)):
        return int(value) if isinstance(value, int) else float(value)
    text = str.__str__(value) if isinstance(value, str) else to_json(value)
    return text if text.isascii() else text.encode(errors="backslashreplace").decode()


def _number(value: Any) -> Any:
    """Return what only calls itself a number, as NumPy's scalars do, as a real one, else text."""
    if getattr(getattr(value, "dtype", None), "kind", None) in ("m", "M"):
        return _time(value)
    if callable(getattr(value, "tolist", None)):
        converted = value.tolist()
        if type(converted) is not type(value):  # a long double stays what it is
            return plain(converted)
    return str(value)


def _time(value: Any) -> str | None:
    text = str(value)
    return None if text == _NO_TIME else text


def _sorted(values: set[Any] | frozenset[Any]) -> list[Any]:
    try:
        return sorted(values)
    except TypeError:
        return sorted(values, key=repr)


def _clean(value: Any) -> Any:
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {_key(key): _clean(part) for key, part in value.items()}
        case list() | tuple():
            return [_clean(part) for part in value]
    return _clean(plain(value))


def _key(key: Any) -> str:
    return key if isinstance(key, str) else str(plain(key))
