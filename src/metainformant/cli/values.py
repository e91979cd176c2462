"""Any Python value as JSON."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import json
import math
import os
from collections.abc import Mapping
from typing import Any


def to_json(value: Any) -> str:
    """Write `value` as valid JSON on one line; what JSON has no word for, as `plain` has it.

    NaN and the infinities become null, and keys of dicts text.

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
    """The nearest thing that JSON knows; `repr(value)` if nothing else fits.

    A dataclass becomes an object; a mapping too; a set, a sorted list; bytes, text; a path, its
    text; an enum, its value; a date or time, its ISO form; arrays and scalars of NumPy and the
    like, lists and numbers.
    """
    match value:
        case None | bool() | int() | float() | str() | list() | tuple() | dict():
            return value
        case enum.Enum():
            return value.value
        case bytes() | bytearray() | memoryview():
            return bytes(value).decode("utf-8", "backslashreplace")
        case set() | frozenset():
            return _sorted(value)
        case os.PathLike():
            return os.fspath(value)
        case datetime.date() | datetime.time():
            return value.isoformat()
        case Mapping():
            return dict(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    for method in ("tolist", "item"):
        if callable(getattr(value, method, None)) and not isinstance(value, type):
            return getattr(value, method)()
    return repr(value)


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
