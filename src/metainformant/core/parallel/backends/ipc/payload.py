"""Payloads: pickled objects, whose large buffers are in memory that both sides share.

Buffers (NumPy arrays, and whatever else supports pickle protocol 5) are not copied into the pickle.
They are written once, into shared memory, and the receiver's object is a view of that. The memory
has no name and no owner: it is gone when the last process has let go of it, however it ended.
"""

from __future__ import annotations

import contextlib
import copyreg
import io
import pickle
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.util import find_spec
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

from ...unpickling import loads
from .large_buffers import LargeBuffers

# From this size on, in bytes, shared memory is worth its system calls; below it a message fits into
# a pipe, so that sending it to a process that listens never blocks.
LARGE = 60_000
# Smaller buffers stay in the pickle.
_SMALL_BUFFER = 4096
_ALIGNED = 64
# A payload has no more items once it is larger than this.
_ENOUGH = 16 * 2**20


# Whether workers can't look up what is named in `__main__`: it is no script or module, or they did
# not find something there. Set once by the first map that finds it so.
main_is_ours_alone: bool = False


class Payload(NamedTuple):
    """A description of how to read what was packed. Small if `body` is None."""

    body: bytes | None  # None: it is in a segment
    size: int
    # One per pickled object: where it ends, and where its buffers are: start, end, read-only.
    objects: tuple[tuple[int, tuple[tuple[int, int, bool], ...]], ...]

    def unpack(self, memory: memoryview | None) -> Iterator[Any]:
        """Read the objects; `memory` is what was in the segment."""
        if memory is None:
            body = self.body or b""
            # A bytearray, since objects may write into their buffers.
            memory = memoryview(bytearray(body) if any(b for _, b in self.objects) else body)
        start = 0
        for end, buffers in self.objects:
            views = [memory[a:b].toreadonly() if fixed else memory[a:b] for a, b, fixed in buffers]
            yield loads(memory[start:end], views)
            start = end


# With the parts of the body if that is to go out of band; else these are empty. Once they are
# written for several readers, what `shared_memory.shared` has returned.
Packed = tuple[Payload, Any]


class PayloadBuilder:
    """Pickled objects that are being collected. Their buffers are referred to, not copied yet.

    Args:
        handles: whether to send what `multiprocessing` can send to another process by duplicating
            its descriptor: connections and sockets.
    """

    def __init__(self, *, handles: bool = False) -> None:
        self._handles = handles
        self._parts: list[Any] = []
        self._end = 0
        self._objects: list[tuple[int, list[memoryview]]] = []
        self.size: int = 0

    def add(self, item: Any) -> None:
        """Pickle one more; if that fails nothing is added."""
        parts: list[Any] = []
        large = LargeBuffers(_SMALL_BUFFER)
        buffers: list[memoryview] = large
        keep = large.keep
        try:
            pickle.Pickler(_Writer(parts), 5, buffer_callback=keep).dump(item)
            if any(names_connections(part) for part in parts):
                parts.clear()
                buffers.clear()
                _dump_handles(item, _Writer(parts), keep, are_sent=self._handles)
        except Exception:
            parts.clear()
            buffers.clear()
            if not _dump_otherwise(item, parts, keep, handles=self._handles):
                raise
        else:
            if main_is_ours_alone and any(_names_main(part) for part in parts):
                named = list(parts), list(buffers)
                parts.clear()
                buffers.clear()
                if not by_value(item, _Writer(parts), keep):
                    parts, buffers = named  # at least the error will name it
        self._parts.extend(parts)
        self._end += sum(map(len, parts))
        self._objects.append((self._end, buffers))
        self.size += sum(map(len, parts)) + sum(buffer.nbytes for buffer in buffers)

    def pack(self, large: int = LARGE) -> Packed:
        """Make the payload, with a body that is sent out of band from `large` bytes on."""
        parts, at = list(self._parts), self._end
        objects = []
        for end, buffers in self._objects:
            places = []
            for buffer in buffers:
                parts.append(bytes(-at % _ALIGNED))
                at += -at % _ALIGNED
                parts.append(buffer)
                places.append((at, at + buffer.nbytes, buffer.readonly))
                at += buffer.nbytes
            objects.append((end, tuple(places)))
        if at < large:
            return Payload(b"".join(parts), at, tuple(objects)), []
        return Payload(None, at, tuple(objects)), parts


class _Writer:
    """A file for a Pickler. What is large comes in pieces of its own, which are not copied."""

    def __init__(self, parts: list[Any]) -> None:
        self.write = parts.append


def _names_main(part: Any) -> bool:
    return isinstance(part, bytes) and b"__main__" in part


def send_main_by_value(packed: Packed) -> bool:
    """Let what `__main__` defines go by value from now on, since a worker has not found it there.

    Return False if that would not change how this is pickled.
    """
    global main_is_ours_alone
    body = packed[0].body
    if main_is_ours_alone or not _names_main(body) or find_spec("cloudpickle") is None:
        return False
    main_is_ours_alone = True
    return True


def names_connections(part: Any) -> bool:
    """Return whether a pickle may have connections, which plain pickle does not send rightly."""
    return isinstance(part, bytes) and b"multiprocessing.connection" in part


def _dump_handles(item: Any, file: Any, keep: Any, *, are_sent: bool) -> None:
    """Pickle connections as `multiprocessing` does, by duplicating them, or refuse them.

    Plain pickle sends the number of their descriptor, which is that of something else there.
    """
    from multiprocessing.reduction import ForkingPickler

    pickler = pickle.Pickler(file, 5, buffer_callback=keep)
    extra: dict[Any, Any] = ForkingPickler._extra_reducers  # type: ignore[attr-defined]
    if not are_sent:
        extra = {Connection: _refuse_handle}
    pickler.dispatch_table = {**copyreg.dispatch_table, **extra}
    pickler.dump(item)


def _refuse_handle(handle: Any) -> Any:
    raise TypeError(f"{handle!r} can be sent to a process only, among its items")


def _dump_otherwise(item: Any, parts: list[Any], keep: Any, *, handles: bool) -> bool:
    """Pickle what plain pickle can't; return False if nothing else is to be had."""
    if handles:
        with contextlib.suppress(Exception):
            _dump_handles(item, _Writer(parts), keep, are_sent=True)
            return True
        parts.clear()
    return by_value(item, _Writer(parts), keep)


def by_value(item: Any, file: Any, keep: Any) -> bool:
    """Pickle with the functions and classes themselves instead of their names, if we can.

    Raises:
        TypeError: for an open file, of which cloudpickle would send the content, and a connection.
    """
    try:
        pickler = _by_value_pickler()
    except ImportError:
        return False
    pickler(file, 5, buffer_callback=keep).dump(item)
    return True


@cache
def _by_value_pickler() -> Any:
    import cloudpickle

    base: Any = cloudpickle.Pickler  # not every version of it says what it takes

    class ByValuePickler(base):  # type: ignore[misc]
        def reducer_override(self, obj: Any) -> Any:
            if isinstance(obj, _FILES) and obj not in (sys.stdout, sys.stderr):
                raise TypeError(f"an open file can't be sent: {obj!r}")
            if isinstance(obj, Connection):
                _refuse_handle(obj)
            return super().reducer_override(obj)

    return ByValuePickler


_FILES = (io.TextIOWrapper, io.BufferedReader, io.BufferedWriter, io.BufferedRandom, io.FileIO)


def dumps(
    item: Any,
    *,
    handles: bool = False,
    main_by_value: bool = False,
    buffers: LargeBuffers | None = None,
) -> bytes:
    """Pickle everything in band, except what `buffers` takes.

    Args:
        item: what to pickle.
        handles: as for PayloadBuilder.
        main_by_value: whether whoever reads it has another `__main__`, as workers of clusters have.
        buffers: gets the large buffers, if whoever reads it has them too.
    """
    keep = None if buffers is None else buffers.keep
    parts: list[Any] = []
    try:
        record = pickle.dumps(item, 5, buffer_callback=keep)
        if names_connections(record):
            _forget(parts, buffers)
            _dump_handles(item, _Writer(parts), keep, are_sent=handles)
            return b"".join(parts)
    except Exception:
        _forget(parts, buffers)
        if not _dump_otherwise(item, parts, keep, handles=handles):
            raise
        return b"".join(parts)
    if (main_by_value or main_is_ours_alone) and _names_main(record):
        kept = list(buffers or ())
        _forget(parts, buffers)
        if by_value(item, _Writer(parts), keep):
            return b"".join(parts)
        if buffers is not None:
            buffers[:] = kept
    return record


def _forget(parts: list[Any], buffers: list[Any] | None) -> None:
    """Begin anew, after an attempt that failed."""
    parts.clear()
    if buffers is not None:
        buffers.clear()


def slices(items: Sequence[Any]) -> Iterator[list[Any]]:
    """Cut the items into portions that double, so that packing them can stop when it is enough."""
    start, size = 0, 1
    while start < len(items):
        yield list(items[start : start + size])
        start += size
        size = start


def is_enough(builder: PayloadBuilder) -> bool:
    """Return whether a payload should get no more items."""
    return builder.size >= _ENOUGH
