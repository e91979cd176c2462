"""What is sent to workers: what they prepare themselves with, the function, and items."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ...describe import describe
from ..ipc.exceptions import unpicklable
from ..ipc.items import Pickled, Unsendable
from ..ipc.payload import Packer, Parcel, dumps, is_enough, slices
from .job import RemoteJob

# What a worker prepares itself with is sent before it listens, and a function together with items.
_BOTH_FIT = 30_000

Packed = tuple[Parcel, list[Any]]  # the parts are those of a body that goes apart


def pack_named(label: str, what: Any) -> Packed:
    """Pickle a NamedTuple of what the user passed; the error names what can't be."""
    packer = Packer()
    try:
        packer.add(tuple(what))
    except Exception as error:
        for name, value in what._asdict().items():
            try:
                Packer().add(value)
            except Exception as cause:
                raise unpicklable(f"{label}: {name}={value!r}", cause) from cause
        raise unpicklable(f"{label}: {type(what).__name__}", error) from error
    return packer.pack(_BOTH_FIT)


class _Function(NamedTuple):
    """What is sent to workers that did not inherit it."""

    func: Callable[..., Any]


def pack_function(label: str, func: Callable[..., Any]) -> Packed:
    return pack_named(label, _Function(func))


def pack_items(job: RemoteJob, most: int) -> tuple[Parcel, list[Any], int]:
    """At most so many of the items, and as many of these as fit into one parcel."""
    packer, count = Packer(), 0
    items = job.items[:most]
    if not job.one_by_one:
        try:
            for part in slices(items):
                packer.add(part)
                count += len(part)
                if is_enough(packer):
                    break
        except Exception:  # one of them can't be pickled
            job.one_by_one = True
            packer, count = Packer(), 0
    if job.one_by_one:
        for item in items:
            packer.add([_wrapped(item)])
            count += 1
            if is_enough(packer):
                break
    return *packer.pack(), count


def _wrapped(item: Any) -> Unsendable | Pickled:
    try:
        return Pickled(dumps(item))
    except Exception as error:
        return Unsendable(str(unpicklable(f"the item {describe(item)}", error)))
