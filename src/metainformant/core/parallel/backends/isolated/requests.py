"""Payloads for workers: the preparation, the function, and items."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from types import BuiltinFunctionType, FunctionType
from typing import Any

from ...errors import ParallelError
from ...worker.setup import Preparation
from ..ipc.exceptions import unpicklable
from ..ipc.items import seal
from ..ipc.payload import Packed, Payload, PayloadBuilder, is_enough, slices
from ..ipc.shared_memory import shared
from .job import IsolatedJob

# What a worker prepares itself with is sent before it listens, and a function together with items:
# pipes mostly have room for both, so that nothing is left to be sent later.
_BOTH_FIT = 30_000

_SMALL_TYPES = frozenset({int, float, bool, type(None)})
# In bytes: the pickle of a function by its name is not longer.
_LONGEST_NAME = 1000


def pack_preparation(label: str, preparation: Preparation) -> Packed:
    """Pickle what workers do at first; ParallelError if that fails."""
    fields = {name: getattr(preparation, name) for name in Preparation.FIELDS}
    return _pack_named(label, fields)


def pack_function(label: str, func: Callable[..., Any]) -> Packed:
    """Pickle the function of a map; ParallelError if that fails."""
    return _pack_named(label, {"func": func})


def _pack_named(label: str, fields: dict[str, Any]) -> Packed:
    """Pickle a tuple of what the user passed; the error names what can't be."""
    builder = PayloadBuilder()
    try:
        builder.add(tuple(fields.values()))
    except Exception as error:
        for name, value in fields.items():
            try:
                PayloadBuilder().add(value)
            except Exception as cause:
                raise unpicklable(f"{label}: {name}={value!r}", cause) from cause
        raise unpicklable(f"{label}: {', '.join(fields)}", error) from error
    payload, parts = builder.pack(_BOTH_FIT)
    if payload.body is not None:
        return payload, parts
    try:
        return payload, shared(parts, payload.size)  # all workers are going to read it
    except OSError as error:
        raise ParallelError(
            f"{label}: {', '.join(fields)} can't be put into shared memory: {error}"
        ) from error


def is_pickled_by_name(packed: Packed, func: Callable[..., Any]) -> bool:
    """Return whether the pickle of a function has its name only, so that it never changes."""
    payload, _ = packed
    kind = type(func)
    if kind not in (FunctionType, BuiltinFunctionType) or payload.body is None:
        return False
    return len(payload.body) < _LONGEST_NAME and payload.body == pickle.dumps((func,), 5)


def pack_items(job: IsolatedJob, most: int, *, handles: bool) -> tuple[Packed, int]:
    """Pickle at most so many of the items, and as many of these as fit into one payload.

    Seals each on its own if one of them can't be pickled. `handles` as for PayloadBuilder.
    """
    items = job.items[:most]
    if len(items) == 1 and type(items[0]) in _SMALL_TYPES and not job.one_by_one:
        record = pickle.dumps(items, 5)  # the quickest way for the commonest chunk of slow tasks
        return (Payload(record, len(record), ((len(record), ()),)), []), 1
    builder, count = PayloadBuilder(handles=handles), 0
    if not job.one_by_one:
        try:
            for part in slices(items):
                builder.add(part)
                count += len(part)
                if is_enough(builder):
                    break
        except Exception:  # one of them can't be pickled
            job.one_by_one = True
            builder, count = PayloadBuilder(handles=handles), 0
    if job.one_by_one:
        for item in items:
            builder.add([seal(item, handles=handles)])
            count += 1
            if is_enough(builder):
                break
    return builder.pack(), count
