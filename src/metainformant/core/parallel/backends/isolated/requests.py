"""Payloads for workers: the preparation, the function, and items."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from types import BuiltinFunctionType, FunctionType
from typing import Any, NamedTuple

from ..ipc.exceptions import unpicklable
from ..ipc.items import seal
from ..ipc.payload import Packed, PayloadBuilder, is_enough, slices
from .job import IsolatedJob

# What a worker prepares itself with is sent before it listens, and a function together with items.
_BOTH_FIT = 30_000

# In bytes: the pickle of a function by its name is not longer.
_LONGEST_NAME = 1000


def pack_named(label: str, what: Any) -> Packed:
    """Pickle a NamedTuple of what the user passed; the error names what can't be."""
    builder = PayloadBuilder()
    try:
        builder.add(tuple(what))
    except Exception as error:
        for name, value in what._asdict().items():
            try:
                PayloadBuilder().add(value)
            except Exception as cause:
                raise unpicklable(f"{label}: {name}={value!r}", cause) from cause
        raise unpicklable(f"{label}: {type(what).__name__}", error) from error
    return builder.pack(_BOTH_FIT)


class _Function(NamedTuple):
    """The function, for workers that did not inherit it."""

    func: Callable[..., Any]


def pack_function(label: str, func: Callable[..., Any]) -> Packed:
    """Pickle the function of a map; ParallelError if that fails."""
    return pack_named(label, _Function(func))


def is_pickled_by_name(packed: Packed, func: Callable[..., Any]) -> bool:
    """Return whether the pickle of a function has its name only, so that it never changes."""
    payload, _ = packed
    kind = type(func)
    if kind not in (FunctionType, BuiltinFunctionType) or payload.body is None:
        return False
    return len(payload.body) < _LONGEST_NAME and payload.body == pickle.dumps((func,), 5)


def pack_items(job: IsolatedJob, most: int) -> tuple[Packed, int]:
    """Pickle at most so many of the items, and as many of these as fit into one payload.

    Seals each on its own if one of them can't be pickled.
    """
    builder, count = PayloadBuilder(), 0
    items = job.items[:most]
    if not job.one_by_one:
        try:
            for part in slices(items):
                builder.add(part)
                count += len(part)
                if is_enough(builder):
                    break
        except Exception:  # one of them can't be pickled
            job.one_by_one = True
            builder, count = PayloadBuilder(), 0
    if job.one_by_one:
        for item in items:
            builder.add([seal(item)])
            count += 1
            if is_enough(builder):
                break
    return builder.pack(), count
