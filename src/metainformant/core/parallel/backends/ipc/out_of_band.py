"""Pickles whose large buffers are beside them, so that whoever sends them need not copy those."""

from __future__ import annotations

import pickle
from typing import Any

from ...unpickling import loads
from .large_buffers import LargeBuffers
from .pickling import dumps

# Smaller buffers stay in the pickle, in bytes.
_SMALL_BUFFER = 256 * 2**10


class BufferedPickle:
    """A pickled object, and the large buffers that it refers to.

    Pickled itself with protocol 5, it offers the buffers out of band to whoever wants them so. They
    are not copied before: whoever changes them until then changes what is sent.

    Attributes:
        body: the pickle.
        buffers: in the order in which the pickle refers to them.
    """

    __slots__ = ("body", "buffers")

    def __init__(self, body: bytes, buffers: list[Any]) -> None:
        self.body: bytes = body
        self.buffers: list[Any] = buffers

    @classmethod
    def of(cls, value: Any) -> BufferedPickle:
        """Pickle a message of ours."""
        buffers = LargeBuffers(_SMALL_BUFFER)
        body = pickle.dumps(value, 5, buffer_callback=buffers.keep)
        return cls(body, buffers)

    def __len__(self) -> int:
        """Return how many bytes it has."""
        return len(self.body) + sum(memoryview(buffer).nbytes for buffer in self.buffers)

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        buffers: list[Any] = [pickle.PickleBuffer(buffer) for buffer in self.buffers]
        if protocol < 5:
            buffers = [_copied(buffer.raw()) for buffer in buffers]
        return BufferedPickle, (self.body, buffers)

    def copied(self) -> BufferedPickle:
        """Return one that stays the same whatever becomes of the object."""
        return BufferedPickle(self.body, [_copied(memoryview(buffer)) for buffer in self.buffers])

    def load(self) -> Any:
        return loads(self.body, self.buffers)


def dumps_out_of_band(item: Any, *, main_by_value: bool = False) -> bytes | BufferedPickle:
    """Pickle any object as `dumps` does, with its large buffers beside the pickle."""
    buffers = LargeBuffers(_SMALL_BUFFER)
    body = dumps(item, main_by_value=main_by_value, buffers=buffers)
    return BufferedPickle(body, buffers) if buffers else body


def load(pickled: bytes | BufferedPickle) -> Any:
    """Read what `dumps_out_of_band` has returned."""
    return loads(pickled) if isinstance(pickled, bytes) else pickled.load()


def _copied(buffer: memoryview) -> bytes | bytearray:
    return bytes(buffer) if buffer.readonly else bytearray(buffer)
