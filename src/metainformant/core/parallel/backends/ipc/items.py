"""Items and results that are pickled one by one: what can't be pickled or read fails alone."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

from ...describe import describe, error_in_words
from ...errors import ParallelError
from ...host.gil import HAS_GIL
from ...worker.frames import own_frame
from .exceptions import refused_module, unpicklable
from .out_of_band import BufferedPickle, dumps_out_of_band, load
from .pickling import dumps

# Lists of these can be pickled and read for certain, so that is done in one go.
PLAIN_TYPES = frozenset({int, float, complex, bool, str, bytes, type(None)})

# The pickle of one item; or, as a text, why it could not be pickled.
Sealed = bytes | BufferedPickle | str


def seal(item: Any, *, handles: bool = False) -> Sealed:
    """Pickle an item on its own; never fails."""
    return _sealed(item, partial(dumps, handles=handles))


def seal_for_cluster(item: Any) -> Sealed:
    """Pickle an item for another machine, with its large buffers out of band; never fails."""
    return _sealed(item, partial(dumps_out_of_band, main_by_value=True))


def _sealed(item: Any, pickled: Callable[[Any], Sealed]) -> Sealed:
    try:
        return pickled(item)
    except Exception as error:
        return str(unpicklable(f"the item {describe(item)}", error))


class SealedItem:
    """An item in the worker, which is read when its task begins."""

    __slots__ = ("_sealed",)

    def __init__(self, sealed: Sealed) -> None:
        self._sealed = sealed

    @own_frame
    def open(self) -> Any:
        """Read the item; ParallelError if that fails, or if it could not be pickled."""
        if isinstance(self._sealed, str):
            raise ParallelError(self._sealed)
        try:
            return load(self._sealed)
        except Exception as error:
            raise ParallelError(
                f"the item can't be read in a worker: {error_in_words(error)}"
                f"{refused_module(error)}"
            ) from error

    def __repr__(self) -> str:
        """Describe the item itself, which is what messages are to name."""
        return describe(self.open())


def opening(func: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Wrap a function so that it takes sealed items."""

    @own_frame
    def call_with_item(sealed: SealedItem) -> Any:
        return func(sealed.open())

    return call_with_item


class SealedResult:
    """A result that was pickled before its worker started the next task.

    That may write to the array, or add to the list, that was the result of this one. So large
    buffers are copied, unless nobody else can reach them.

    Args:
        result: what the task returned.
        references: how many references to it there are: see `_of_a_local`.
    """

    __slots__ = ("pickled",)

    @own_frame
    def __init__(self, result: Any, references: int) -> None:
        """Pickle it; ParallelError if that fails."""
        pickled = pickled_result(result)
        if isinstance(pickled, BufferedPickle) and not _is_ours_alone(result, references):
            pickled = pickled.copied()
        self.pickled: bytes | BufferedPickle = pickled


def _of_a_local() -> int:
    """Return what `sys.getrefcount` says of a local variable of which nothing else knows."""
    result = object()
    return sys.getrefcount(result)


_REFERENCES_OF_A_LOCAL = _of_a_local()


def _is_ours_alone(result: Any, references: int) -> bool:
    """Return whether a result is an array that owns its memory, and that nobody else can reach.

    NumPy's own `ndarray.resize` judges by the same count. Without the GIL, it may be too low.
    """
    numpy: Any = sys.modules.get("numpy")
    return (
        HAS_GIL
        and references <= _REFERENCES_OF_A_LOCAL
        and numpy is not None
        and type(result) is numpy.ndarray
        and bool(result.flags.owndata)
        and not weakref.getweakrefcount(result)
    )


def with_sealed(func: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a function so that it takes items, sealed or not, and seals its results.

    They are sent later, when the next task may have changed them.
    """

    @own_frame
    def call_with_item(item: Any, *state: Any) -> Any:
        result = func(item.open() if type(item) is SealedItem else item, *state)
        if type(result) in PLAIN_TYPES:
            return result
        references = sys.getrefcount(result)  # as in `_of_a_local`: no argument counts besides
        return SealedResult(result, references)

    return call_with_item


@own_frame
def pickled_result(result: Any) -> bytes | BufferedPickle:
    """Pickle a result, unless it is sealed already; ParallelError if that fails."""
    if type(result) is SealedResult:
        return result.pickled
    try:
        return dumps_out_of_band(result)
    except Exception as error:
        raise unpicklable(f"the result {type(result).__name__!r}", error) from error
