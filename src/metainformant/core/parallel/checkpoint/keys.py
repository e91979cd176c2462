"""Keys: what identifies an item in a checkpoint.

The key of an item is its value, not its place and not its pickle: equal objects have different
pickles (shared references, the order of sets, hash seeds). Integers of 64 bits and short strings
are their own keys; of everything else a canonical encoding is hashed to 128 bits. So a key is an
`int`, a `str` or 16 `bytes`, and keys of different types are never equal.

Values that compare equal and yet can be told apart by a function have different keys: 1, True and
1.0; 0.0 and -0.0; Decimal("1.0") and Decimal("1.00"); one instant in two time zones. Only the order
of sets and dicts does not count.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, Flag
from hashlib import blake2b
from pathlib import PurePath
from typing import Any

from ..describe import describe
from ..public import public
from .names import class_name

# What is stored in a column of keys. A tuple is a mark and which occurrence of it this is, from 1;
# the first one, 0, is the mark alone.
Mark = int | str | bytes
Key = Mark | tuple[Mark, int]

DIGEST_SIZE = 16
# Longer strings are hashed: as keys they would make the file larger than their digests do.
_MAX_TEXT = 48
_LEAST, _MOST = -(1 << 63), (1 << 63) - 1

_TOO_DEEP = "is nested too deeply, or contains itself"

# Their text tells everything, and all NaN look the same.
_TEXT_IS_CANONICAL = {str, bool, type(None), int, float}

_pack_float = struct.Struct(">d").pack
_NAN = b"f" + _pack_float(float("nan"))


def marks(items: Sequence[Any], key: Callable[[Any], Any] | None = None) -> list[Mark]:
    """Return the mark of each item, or of what `key` makes of it.

    Raises:
        TypeError: if there is no canonical encoding of an item; it names the item's type.
    """
    values = list(items) if key is None else _keyed(items, key)
    kinds = set(map(type, values))
    if kinds == {int} and min(values) >= _LEAST and max(values) <= _MOST:
        return values
    if kinds == {str} and max(map(len, values)) <= _MAX_TEXT:
        return values
    found: list[Mark] = []
    for index, value in enumerate(values):
        try:
            found.append(mark(value))
        except TypeError as error:
            raise _refusal(items[index], key is not None, error) from None
    return found


def _keyed(items: Sequence[Any], key: Callable[[Any], Any]) -> list[Any]:
    values = []
    for item in items:
        try:
            values.append(key(item))
        except Exception as error:
            error.add_note(f"raised by key= of the checkpoint for item {describe(item)}")
            raise
    return values


def mark(value: Any) -> Mark:
    """Return the mark of one value; TypeError if it can't be encoded."""
    kind = type(value)
    if kind is int and _LEAST <= value <= _MOST:
        return value  # type: ignore[no-any-return]
    if kind is str and len(value) <= _MAX_TEXT:
        return value  # type: ignore[no-any-return]
    try:
        encoded = _EXACT.get(kind, _structured)(value)
    except RecursionError:
        raise TypeError(_TOO_DEEP) from None
    return blake2b(encoded, digest_size=DIGEST_SIZE).digest()


def encode(value: Any) -> bytes:
    """Return the canonical encoding of a value: equal bytes mean the same type and value."""
    try:
        return _encode(value)
    except RecursionError:
        raise TypeError(_TOO_DEEP) from None


@public
def file_key(path: str | os.PathLike[str]) -> tuple[str, int, int]:
    """Return path, size and time of change (in ns) of a file, as a key of its content.

    A path alone is a name: the file may have changed since its outcome was recorded. Pass this as
    `Checkpoint(..., key=file_key)` to run an item again whose file has changed.

    Raises:
        OSError: if there is no such file.
    """
    status = os.stat(path)
    return os.fspath(path), status.st_size, status.st_mtime_ns


def _refusal(item: Any, has_key: bool, reason: TypeError) -> TypeError:
    what = "what key= returned for it" if has_key else "it"
    return TypeError(
        f"checkpoint: item {describe(item)} has no key: {what} {reason}. Pass "
        "Checkpoint(path, key=...), a function of the item that returns plain values "
        "(None, bool, int, float, str, bytes, Decimal, paths, dates, enums, tuples, lists, dicts, "
        "sets, dataclasses, NumPy arrays); for files, key=parallel.file_key"
    )


def _encode(value: Any) -> bytes:
    return _EXACT.get(type(value), _structured)(value)


def _framed(tag: bytes, data: bytes) -> bytes:
    return b"%b%d:%b" % (tag, len(data), data)


def _text(tag: bytes, text: str) -> bytes:
    return _framed(tag, text.encode("utf-8", "surrogatepass"))


def _str(value: str) -> bytes:
    data = value.encode("utf-8", "surrogatepass")
    return b"s%d:%b" % (len(data), data)


def _float(value: float) -> bytes:
    return b"f" + _pack_float(value) if value == value else _NAN


def _sequence(tag: bytes) -> Callable[[Any], bytes]:
    def encoder(value: Any) -> bytes:
        if set(map(type, value)) <= _TEXT_IS_CANONICAL:
            try:
                # Much faster. Not repr: what that escapes depends on the version of Python.
                data = ascii(value).encode()
            except ValueError:
                pass  # an integer of thousands of digits
            else:
                return b"=%d:%b" % (len(data), data)
        return b"%b%d:" % (tag, len(value)) + b"".join(map(_encode, value))

    return encoder


def _set(tag: bytes) -> Callable[[Any], bytes]:
    def encoder(value: Any) -> bytes:
        return b"%b%d:" % (tag, len(value)) + b"".join(sorted(map(_encode, value)))

    return encoder


def _dict(value: dict[Any, Any]) -> bytes:
    pairs = sorted(_encode(key) + _encode(each) for key, each in value.items())
    return b"D%d:" % len(value) + b"".join(pairs)


def _time(tag: bytes) -> Callable[[Any], bytes]:
    def encoder(value: Any) -> bytes:
        fold = getattr(value, "fold", 0)
        return _text(tag, f"{value.isoformat()} {fold}")

    return encoder


_EXACT: dict[type, Callable[[Any], bytes]] = {
    type(None): lambda value: b"N",
    bool: lambda value: b"T" if value else b"F",
    int: lambda value: b"i%x;" % value,
    float: _float,
    complex: lambda value: b"c" + _float(value.real) + _float(value.imag),
    str: _str,
    bytes: lambda value: _framed(b"b", value),
    bytearray: lambda value: _framed(b"B", bytes(value)),
    range: lambda value: b"r%x;%x;%x;" % (value.start, value.stop, value.step),
    Decimal: lambda value: _text(b"d", str(value)),
    date: _time(b"y"),
    datetime: _time(b"t"),
    time: _time(b"h"),
    timedelta: lambda value: b"e%x;%x;%x;" % (value.days, value.seconds, value.microseconds),
    tuple: _sequence(b"("),
    list: _sequence(b"["),
    set: _set(b"{"),
    frozenset: _set(b"z"),
    dict: _dict,
}


def _structured(value: Any) -> bytes:
    """Encode what is told by more than its exact type."""
    kind = type(value)
    if isinstance(value, PurePath):
        return _text(b"p", kind.__name__) + _text(b"s", str(value))
    name = _text(b"n", class_name(kind))
    if isinstance(value, Flag):
        return b"E" + name + _encode(value.value)
    if isinstance(value, Enum):
        return b"E" + name + _text(b"s", value.name)
    if is_dataclass(value) and not isinstance(value, type):
        shown = [field.name for field in fields(value) if field.compare]
        parts = [_text(b"s", each) + _encode(getattr(value, each)) for each in shown]
        return b"C" + name + b"%d:" % len(parts) + b"".join(parts)
    if isinstance(value, tuple) and hasattr(kind, "_fields"):
        return b"M" + name + b"%d:" % len(value) + b"".join(map(_encode, value))
    if kind.__module__ == "numpy":
        return _numpy(value)
    raise TypeError(f"is of type {class_name(kind)}, which has no canonical form")


def _numpy(value: Any) -> bytes:
    import numpy as np

    if type(value) is np.ndarray:
        shape = b"".join(b"%d;" % size for size in value.shape)
        return b"A" + _framed(b"", shape) + _elements(value)
    if isinstance(value, np.generic) and type(value) is value.dtype.type:
        return b"G" + _elements(np.asarray(value))
    raise TypeError(f"is of type {class_name(type(value))}, which has no canonical form")


def _elements(array: Any) -> bytes:
    """Encode type and elements of an array, whatever its strides and byte order."""
    kind = array.dtype
    if kind.names is not None:  # field by field, since there may be anything between them
        parts = [_text(b"s", name) + _elements(array[name]) for name in kind.names]
        return b"R%d:" % len(parts) + b"".join(parts)
    if kind.hasobject:
        return _text(b"o", kind.str) + b"".join(map(_encode, array.ravel().tolist()))
    kind = kind.newbyteorder("<")
    data: bytes = array.astype(kind, copy=False).tobytes()
    return _text(b"a", kind.str) + _framed(b"", data)
