"""Payloads: pickled objects, whose large buffers are in memory that both sides share.

Buffers (NumPy arrays, and whatever else supports pickle protocol 5) are not copied into the pickle.
They are written once, into shared memory, and the receiver's object is a view of that. The memory
has no name and no owner: it is gone when the last process has let go of it, however it ended.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from ...unpickling import loads
from .large_buffers import LargeBuffers
from .pickling import dump_parts

# From this size on, in bytes, shared memory is worth its system calls; below it a pipe mostly
# has room for the whole message, so that nothing is left to be sent later.
LARGE = 60_000
# Smaller buffers stay in the pickle.
_SMALL_BUFFER = 4096
_ALIGNED = 64
# A payload has no more items once it is larger than this.
_ENOUGH = 16 * 2**20


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
        handles: as for `dump_parts`.
    """

    def __init__(self, *, handles: bool = False) -> None:
        self._handles = handles
        self._parts: list[Any] = []
        self._end = 0
        self._objects: list[tuple[int, LargeBuffers]] = []
        self.size: int = 0

    def add(self, item: Any) -> None:
        """Pickle one more; if that fails nothing is added."""
        buffers = LargeBuffers(_SMALL_BUFFER)
        parts = dump_parts(item, handles=self._handles, buffers=buffers)
        size = sum(map(len, parts))
        self._parts.extend(parts)
        self._end += size
        self._objects.append((self._end, buffers))
        self.size += size + sum(buffer.nbytes for buffer in buffers)

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
