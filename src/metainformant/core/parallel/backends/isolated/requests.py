"""What is sent to workers: what they prepare themselves with, the function, and items."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ...describe import describe
from ..ipc.exceptions import unpicklable
from ..ipc.items import Pickled, Unsendable
from ..ipc.payload import Payload, PayloadBuilder, dumps, is_enough, slices
from .job import RemoteJob

# What a worker prepares itself with is sent before it listens, and a function together with items.
_BOTH_FIT = 30_000

Packed = tuple[Payload, list[Any]]  # the parts are those of a body that goes out of band


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
    """What is sent to workers that did not inherit it."""

    func: Callable[..., Any]


def pack_function(label: str, func: Callable[..., Any]) -> Packed:
    return pack_named(label, _Function(func))


def pack_items(job: RemoteJob, most: int) -> tuple[Payload, list[Any], int]:
    """At most so many of the items, and as many of these as fit into one payload."""
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
            builder.add([_wrapped(item)])
            count += 1
            if is_enough(builder):
                break
    return *builder.pack(), count


def _wrapped(item: Any) -> Unsendable | Pickled:
    try:
        return Pickled(dumps(item))
    except Exception as error:
        return Unsendable(str(unpicklable(f"the item {describe(item)}", error)))
