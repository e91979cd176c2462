"""Any value as other programs know it: JSON on one line."""

from __future__ import annotations

import dataclasses
import json
import math
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any


def to_json(value: Any) -> str:
    """Return valid JSON on one line, whatever the value; it never fails.

    NaN and infinities become null, keys of dicts text, and everything else what `plain` makes of
    it.
    """
    try:
        return _dumps(value, default=plain)
    except (TypeError, ValueError, RecursionError):
        try:
            return _dumps(_clean(value))
        except RecursionError:
            return _dumps(_shown(value))


def plain(value: Any) -> Any:
    """Return the nearest thing that JSON knows; only the outermost container is converted."""
    match value:
        case Enum():
            return plain(value.value)
        case None | bool() | int() | float() | str() | list() | tuple() | dict():
            return value
        case bytes() | bytearray() | memoryview():
            return _text(bytes(value))
        case set() | frozenset():
            return sorted(value, key=_shown)
        case PurePath() | date() | time() | timedelta() | Decimal():
            return str(value)
    try:
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        if callable(tolist := getattr(value, "tolist", None)):  # arrays, and their scalars
            return tolist()
    except Exception:
        pass
    return _shown(value)


def encodable(text: str) -> str:
    """Return text that UTF-8 can hold: halves of characters become escapes, as in JSON."""
    return text if text.isascii() else text.encode(errors="backslashreplace").decode()


def _dumps(value: Any, **options: Any) -> str:
    return encodable(json.dumps(value, ensure_ascii=False, allow_nan=False, **options))


def _clean(value: Any) -> Any:
    """Return a copy that has nothing but what JSON knows."""
    match value:
        case None | bool() | str():
            return value
        case int():
            return _integer(value)
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {_key(key): _clean(each) for key, each in value.items()}
        case list() | tuple():
            return [_clean(each) for each in value]
    converted = plain(value)
    return _shown(value) if converted is value else _clean(converted)


def _key(key: Any) -> str:
    converted = plain(key)
    return converted if isinstance(converted, str) else _shown(converted)


def _integer(value: int) -> int | str:
    try:
        str(value)
    except ValueError:  # Python writes no number of so many digits
        return hex(value)
    return value


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.hex()


def _shown(value: Any) -> str:
    try:
        return repr(value)
    except Exception:
        return f"<{type(value).__name__}>"
