"""Pickling for another process: what plain pickle can't send is tried in other ways.

Plain pickle comes first, since it is the quickest. Connections and sockets are duplicated as
`multiprocessing` does it. Lambdas, and what is defined where the other side can't look it up, go by
value, if cloudpickle is installed.
"""

from __future__ import annotations

import contextlib
import copyreg
import io
import pickle
import sys
from collections.abc import Callable
from functools import cache
from multiprocessing.connection import Connection
from typing import Any

from .large_buffers import LargeBuffers

# Whether workers can't look up what is named in `__main__`: it is no script or module, or they did
# not find something there. Set once by the first map that finds it so.
main_is_ours_alone: bool = False

# Pickles an object into a file, with a callback for its buffers.
_Dump = Callable[[Any, Any, Any], None]


def dumps(
    item: Any,
    *,
    handles: bool = False,
    main_by_value: bool = False,
    buffers: LargeBuffers | None = None,
) -> bytes:
    """Pickle into one piece; the arguments are those of `dump_parts`."""
    return b"".join(dump_parts(item, handles=handles, main_by_value=main_by_value, buffers=buffers))


def dump_parts(
    item: Any,
    *,
    handles: bool = False,
    main_by_value: bool = False,
    buffers: LargeBuffers | None = None,
) -> list[Any]:
    """Pickle into pieces. What is large has pieces of its own, which are not copied.

    Args:
        item: what to pickle.
        handles: whether to send what `multiprocessing` can send to another process by duplicating
            its descriptor: connections and sockets.
        main_by_value: whether whoever reads it has another `__main__`, as workers of clusters have.
        buffers: gets the large buffers, if whoever reads it has them too. It must be empty.

    Raises:
        TypeError: for an open file, of which cloudpickle would send the content, and a connection
            that can't be sent.
        Exception: what pickling it in the last way raised.
    """

    def attempt(dump: _Dump) -> list[Any]:
        if buffers is not None:
            buffers.clear()
        parts: list[Any] = []
        dump(item, _Writer(parts), None if buffers is None else buffers.keep)
        return parts

    try:
        parts = attempt(_dump_plainly)
        if any(map(names_connections, parts)):
            parts = attempt(_dump_handles if handles else _refuse_handles)
    except Exception:
        if handles:
            with contextlib.suppress(Exception):
                return attempt(_dump_handles)
        if not can_go_by_value():
            raise
        return attempt(_dump_by_value)
    else:
        is_named = (main_by_value or main_is_ours_alone) and any(map(_names_main, parts))
        # Without cloudpickle, whoever can't find it at least tells its name.
        return attempt(_dump_by_value) if is_named and can_go_by_value() else parts


def send_main_by_value(record: bytes | None) -> bool:
    """Let what `__main__` defines go by value from now on, since a worker has not found it there.

    Return False if that would not change how this was pickled.
    """
    global main_is_ours_alone
    if main_is_ours_alone or not _names_main(record) or not can_go_by_value():
        return False
    main_is_ours_alone = True
    return True


def names_connections(part: Any) -> bool:
    """Return whether a pickle may have connections, which plain pickle does not send rightly."""
    return isinstance(part, bytes) and b"multiprocessing.connection" in part


def _names_main(part: Any) -> bool:
    return isinstance(part, bytes) and b"__main__" in part


class _Writer:
    """A file for a Pickler. What is large comes in pieces of its own, which are not copied."""

    def __init__(self, parts: list[Any]) -> None:
        self.write = parts.append


def _dump_plainly(item: Any, file: Any, keep: Any) -> None:
    pickle.Pickler(file, 5, buffer_callback=keep).dump(item)


def _dump_handles(item: Any, file: Any, keep: Any) -> None:
    """Pickle as `multiprocessing` does: plain pickle would send the numbers of descriptors."""
    from multiprocessing.reduction import ForkingPickler

    reducers: dict[Any, Any] = ForkingPickler._extra_reducers  # type: ignore[attr-defined]
    _dump_with(reducers, item, file, keep)


def _refuse_handles(item: Any, file: Any, keep: Any) -> None:
    _dump_with({Connection: _refuse_handle}, item, file, keep)


def _dump_with(reducers: dict[Any, Any], item: Any, file: Any, keep: Any) -> None:
    pickler = pickle.Pickler(file, 5, buffer_callback=keep)
    pickler.dispatch_table = {**copyreg.dispatch_table, **reducers}
    pickler.dump(item)


def _refuse_handle(handle: Any) -> Any:
    raise TypeError(f"{handle!r} can be sent to a process only, among its items")


def can_go_by_value() -> bool:
    """Return whether functions and classes can go themselves, instead of their names."""
    return _by_value_pickler() is not None


def _dump_by_value(item: Any, file: Any, keep: Any) -> None:
    _by_value_pickler()(file, 5, buffer_callback=keep).dump(item)


_FILES = (io.TextIOWrapper, io.BufferedReader, io.BufferedWriter, io.BufferedRandom, io.FileIO)


@cache
def _by_value_pickler() -> Any:
    try:
        import cloudpickle
    except ImportError:
        return None
    base: Any = cloudpickle.Pickler  # not every version of it says what it takes

    class ByValuePickler(base):  # type: ignore[misc]
        def reducer_override(self, obj: Any) -> Any:
            if isinstance(obj, _FILES) and obj not in (sys.stdout, sys.stderr):
                raise TypeError(f"an open file can't be sent: {obj!r}")
            if isinstance(obj, Connection):
                _refuse_handle(obj)
            return super().reducer_override(obj)

    return ByValuePickler
