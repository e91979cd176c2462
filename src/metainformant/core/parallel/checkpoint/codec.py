"""The columns of a piece: how keys, values and times are stored.

What JSON knows exactly is stored as JSON text, so that any SQLite tool shows it. Everything else is
stored as parts: each value by itself, so that one that can't be read costs only its own item.

    keys      16-byte digests, one behind the other; or a JSON array of keys that are their own
              marks, of ["hex digest"], and of [mark, occurrence]
    results   a JSON array; or parts, each behind a letter: j for JSON, which may have
              NaN and Infinity here, as Python reads it; b for bytes, p for pickle
    times     float64, little-endian: when each item was started, and when the last one ended
    checksum  two blake2b of 8 bytes: of what a resume reads, and of the rest
"""

from __future__ import annotations

import json
import pickle
import struct
import sys
from array import array
from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

from ..describe import error_in_words
from ..unpickling import loads
from .errors import CheckpointError
from .keys import DIGEST_SIZE, Key, Mark

_encoder = json.JSONEncoder(separators=(",", ":"), check_circular=False, allow_nan=False)
to_json: Callable[[Any], str] = _encoder.encode
_to_loose_json = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode
_SCALARS = {int, str, bool, float, type(None)}
# Deeper values are pickled.
_MAX_DEPTH = 8

MISSING = object()  # stands for a value that is not decoded, since it is pickled


def encode_keys(keys: Sequence[Key]) -> bytes | str:
    kinds = set(map(type, keys))
    if kinds == {bytes}:
        return b"".join(keys)  # type: ignore[arg-type]
    if kinds <= {int, str}:
        return to_json(keys)
    return to_json([_wrapped(key) for key in keys])


def decode_keys(data: bytes | str) -> list[Key]:
    if isinstance(data, bytes):
        return [data[at : at + DIGEST_SIZE] for at in range(0, len(data), DIGEST_SIZE)]
    keys: list[Any] = json.loads(data)
    if "[" in data[1:]:
        return [_unwrapped(key) if type(key) is list else key for key in keys]
    return keys


def key_text(key: Key) -> str:
    """Return a key as JSON."""
    return to_json(_wrapped(key))


def key_of(text: str) -> Key:
    return decode_keys(f"[{text}]")[0]


def _wrapped(key: Key) -> Any:
    if isinstance(key, tuple):
        return [_wrapped(key[0]), key[1]]
    return [key.hex()] if isinstance(key, bytes) else key


def _unwrapped(key: list[Any]) -> Key:
    if len(key) == 1:
        return bytes.fromhex(key[0])
    mark: Mark = bytes.fromhex(key[0][0]) if type(key[0]) is list else key[0]
    return mark, key[1]


def encode_results(
    values: Sequence[Any], refuse: Callable[[int, Exception], None]
) -> tuple[bytes | str, int]:
    """Return the column, and how many of the values are pickled.

    `refuse` is called for each position whose value can't be pickled; None is stored in its place.
    """
    kinds = set(map(type, values))
    try:
        if kinds <= _SCALARS or all(is_json(value) for value in values):
            return to_json(values), 0
    except ValueError:
        pass  # an infinite number, or one that is too long
    parts: list[bytes] = []
    pickled = 0
    for position, value in enumerate(values):
        try:
            part = _part(value)
        except Exception as error:
            refuse(position, error)
            part = b"jnull"
        pickled += part[:1] == b"p"
        parts.append(part)
    return _pack(parts), pickled


def decode_results(data: bytes | str, load: Callable[[int, bytes], Any]) -> list[Any]:
    """Return the values; `load` is given the position and bytes of each that is pickled."""
    if isinstance(data, str):
        values: list[Any] = json.loads(data)
        return values
    return [_value(part, position, load) for position, part in enumerate(_unpack(data))]


def unpickle(position: int, data: bytes) -> Any:
    """Load a pickle of this checkpoint. It may run code: only for files that are trusted."""
    return loads(data)


class Unloadable(NamedTuple):
    """The stand-in for a value whose pickle can't be loaded."""

    error: Exception

    def error_of(self, item: str, run: str, path: str, otherwise: str) -> CheckpointError:
        """Return what is to be raised if somebody wants it."""
        error = CheckpointError(
            f"the value of item {item} of {run} can't be loaded: {error_in_words(self.error)}. "
            f"Make its module importable, or {otherwise}",
            path,
        )
        error.__cause__ = self.error
        return error


def load(position: int, data: bytes) -> Any:
    """Load a pickle as `unpickle` does; return an `Unloadable` if that fails."""
    try:
        return unpickle(position, data)
    except Exception as error:
        return Unloadable(error)


def leave_pickled(position: int, data: bytes) -> Any:
    return MISSING


def is_json(value: Any, depth: int = 0) -> bool:
    """Return whether JSON gives back an equal value of the same types."""
    kind = type(value)
    if kind in _SCALARS:
        return True
    if depth == _MAX_DEPTH:
        return False
    if kind is list:
        return set(map(type, value)) <= _SCALARS or all(is_json(each, depth + 1) for each in value)
    if kind is dict:
        return all(type(key) is str and is_json(each, depth + 1) for key, each in value.items())
    return False


def positions(text: str | None) -> set[int]:
    return set() if text is None else set(json.loads(text))


def decode_items(text: str | None, keys: bytes | str) -> list[str]:
    """Return the items as text; their keys, where these can be read themselves."""
    if text is not None:
        return [item if type(item) is str else to_json(item) for item in json.loads(text)]
    return [str(key[0] if isinstance(key, tuple) else key) for key in decode_keys(keys)]


def encode_times(times: Sequence[float]) -> bytes | None:
    if not times:
        return None
    packed = array("d", times)
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tobytes()


def decode_times(data: bytes | None) -> list[float]:
    if data is None:
        return []
    return list(struct.unpack(f"<{len(data) // 8}d", data))


def checksum(columns: Iterable[object]) -> bytes:
    """Return 8 bytes that differ if any of the columns does."""
    digest = blake2b(digest_size=8)
    for column in columns:
        data = column if isinstance(column, bytes) else repr_of(column)
        digest.update(b"%d:" % len(data))
        digest.update(data)
    return digest.digest()


def repr_of(column: object) -> bytes:
    if isinstance(column, str):
        return b"s" + column.encode("utf-8", "surrogatepass")
    return repr(column).encode()


def _part(value: Any) -> bytes:
    if type(value) is bytes:
        return b"b" + value
    if is_json(value):
        try:
            return b"j" + _to_loose_json(value).encode()
        except ValueError:
            pass
    return b"p" + pickle.dumps(value, protocol=5)


def _value(part: bytes, position: int, load: Callable[[int, bytes], Any]) -> Any:
    letter, data = part[:1], part[1:]
    if letter == b"b":
        return data
    return json.loads(data) if letter == b"j" else load(position, data)


def _pack(parts: list[bytes]) -> bytes:
    return b"".join([struct.pack(f"<{len(parts) + 1}Q", len(parts), *map(len, parts)), *parts])


def _unpack(data: bytes) -> list[bytes]:
    (count,) = struct.unpack_from("<Q", data)
    sizes = struct.unpack_from(f"<{count}Q", data, 8)
    parts = []
    at = 8 * (count + 1)
    for size in sizes:
        parts.append(data[at : at + size])
        at += size
    return parts
