"""Objects on their way between processes: pickled, and large ones in memory that both share.

Buffers (NumPy arrays, and whatever else supports pickle protocol 5) are not copied into the pickle.
They are written once, into shared memory, and the receiver's object is a view of that. The memory
has no name and no owner: it is gone when the last process has let go of it, however it ended.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import pickle
import sys
import tempfile
import threading
import weakref
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

# From this size on, in bytes, shared memory is worth its system calls; below it a message fits into
# a pipe, so that sending it to a process that listens never blocks.
LARGE = 60_000
# Smaller buffers stay in the pickle.
_SMALL_BUFFER = 4096
_ALIGNED = 64
# A parcel has no more items once it is larger than this.
_ENOUGH = 16 * 2**20
# The most parcels that are mapped at the same time. Each takes one of the 65,530 maps that Linux
# allows a process, and before CPython 3.13 one of often only 1024 descriptors. More are copied.
_MOST_MAPS = 10_000 if sys.version_info >= (3, 13) else 100
# The most parts that one call of writev takes everywhere.
_MOST_PARTS = 512


# Whether `__main__` is no script or module, so that workers can't look up what is named in it. Set
# once by the first map that finds it so.
main_is_ours_alone = False


class Parcel(NamedTuple):
    """How to read what was packed. Picklable, and small if `body` is None."""

    body: bytes | None  # None: it is in a segment
    size: int
    # One per pickled object: where it ends, and where its buffers are: start, end, read-only.
    objects: tuple[tuple[int, tuple[tuple[int, int, bool], ...]], ...]

    def unpack(self, memory: memoryview | None) -> Iterator[Any]:
        """The objects; `memory` is what was in the segment."""
        if memory is None:
            body = self.body or b""
            # A bytearray, since objects may write into their buffers.
            memory = memoryview(bytearray(body) if any(b for _, b in self.objects) else body)
        start = 0
        for end, buffers in self.objects:
            views = [memory[a:b].toreadonly() if fixed else memory[a:b] for a, b, fixed in buffers]
            yield pickle.loads(memory[start:end], buffers=views)
            start = end


class Packer:
    """Collects pickled objects. References are kept to their buffers, which are not copied yet."""

    def __init__(self) -> None:
        self._parts: list[Any] = []
        self._end = 0
        self._objects: list[tuple[int, list[memoryview]]] = []
        self.size = 0

    def add(self, item: Any) -> None:
        """Pickle one more; if that fails nothing is added."""
        parts: list[Any] = []
        buffers: list[memoryview] = []

        def keep(buffer: pickle.PickleBuffer) -> bool:
            try:
                raw = buffer.raw()
            except BufferError:  # not contiguous
                return True
            if raw.nbytes < _SMALL_BUFFER:
                return True
            buffers.append(raw)
            return False

        try:
            pickle.Pickler(_Writer(parts), 5, buffer_callback=keep).dump(item)
        except Exception:
            parts.clear()
            buffers.clear()
            if not by_value(item, _Writer(parts), keep):
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

    def pack(self, large: int = LARGE) -> tuple[Parcel, list[Any]]:
        """The parcel, and the parts of its body if that is to go into a segment."""
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
            return Parcel(b"".join(parts), at, tuple(objects)), []
        return Parcel(None, at, tuple(objects)), parts


class _Writer:
    """A file for a Pickler. What is large comes in pieces of its own, which are not copied."""

    def __init__(self, parts: list[Any]) -> None:
        self.write = parts.append


def _names_main(part: Any) -> bool:
    return isinstance(part, bytes) and b"__main__" in part


def by_value(item: Any, file: Any, keep: Any) -> bool:
    """Pickle with the functions and classes themselves instead of their names, if we can."""
    try:
        import cloudpickle
    except ImportError:
        return False
    pickler: Any = cloudpickle.Pickler  # not every version of it says what it takes
    pickler(file, 5, buffer_callback=keep).dump(item)
    return True


def dumps(item: Any) -> bytes:
    """Pickle, without anything apart."""
    parts: list[Any] = []
    try:
        record = pickle.dumps(item, 5)
    except Exception:
        if not by_value(item, _Writer(parts), None):
            raise
        return b"".join(parts)
    if main_is_ours_alone and _names_main(record) and by_value(item, _Writer(parts), None):
        return b"".join(parts)
    return record


def slices(items: Sequence[Any]) -> Iterator[list[Any]]:
    """The items in portions that double, so that whoever packs them can stop when it is enough."""
    start, size = 0, 1
    while start < len(items):
        yield list(items[start : start + size])
        start += size
        size = start


def is_enough(packer: Packer) -> bool:
    return packer.size >= _ENOUGH


if sys.platform == "win32":

    class Segment:
        """Shared memory that is opened by its name, and gone with the last who has it open."""

        def __init__(self, size: int, name: str = "") -> None:
            self.name = name or f"metainformant-{os.getpid()}-{os.urandom(8).hex()}"
            self.size = size
            self.memory = mmap.mmap(-1, size, tagname=self.name)

        def __reduce__(self) -> tuple[Any, ...]:
            return Segment, (self.size, self.name)

        def shared(self) -> str:
            """What another interpreter makes its own Segment of."""
            return self.name

        def close(self) -> None:
            pass

    def filled(parts: Iterable[Any], size: int) -> Segment:
        segment = Segment(size)
        for part in parts:
            segment.memory.write(part)
        return segment

else:

    def _anonymous() -> int:
        """A file in memory without a name."""
        if hasattr(os, "memfd_create"):
            return os.memfd_create("metainformant", os.MFD_CLOEXEC)
        with tempfile.TemporaryFile() as file:  # its name is gone at once
            return os.dup(file.fileno())

    class Segment:
        """Shared memory behind a file descriptor, which is gone with the last who has it open."""

        def __init__(self, size: int, fd: int | None = None) -> None:
            self.size = size
            self.fd = _anonymous() if fd is None else fd
            if fd is None:
                os.ftruncate(self.fd, size)
            self.memory = mmap.mmap(self.fd, size)

        def __reduce__(self) -> tuple[Any, ...]:
            # Only while a process is being started, as for everything that is inherited.
            from multiprocessing.reduction import DupFd

            return _reopened, (self.size, DupFd(self.fd))

        def shared(self) -> int:
            """What another interpreter makes its own Segment of."""
            return os.dup(self.fd)

        def close(self) -> None:
            """Give back the descriptor; the memory goes when nobody looks at it any more."""
            if self.fd >= 0:
                os.close(self.fd)
                self.fd = -1

    def _reopened(size: int, handle: Any) -> Segment:
        return Segment(size, handle.detach())

    def filled(parts: Sequence[Any], size: int) -> int:
        """The descriptor of a new file in memory that holds the parts."""
        fd = _anonymous()
        try:
            left = [view for part in parts if (view := memoryview(part).cast("B")).nbytes]
            while left:
                written = os.writev(fd, left[:_MOST_PARTS])
                while left and written >= left[0].nbytes:
                    written -= left.pop(0).nbytes
                if written:
                    left[0] = left[0][written:]
        except BaseException:
            os.close(fd)
            raise
        return fd

    _lock = threading.Lock()
    _maps: weakref.WeakSet[mmap.mmap] = weakref.WeakSet()  # all that are in use; under the lock

    # All pages at once: a fault for each of them would cost more than copying them.
    _FLAGS = mmap.MAP_SHARED | getattr(mmap, "MAP_POPULATE", 0)

    def mapped(fd: int, size: int) -> mmap.mmap | bytearray:
        """What is in the file, as memory that may be written to. The descriptor stays open."""
        with _lock:
            if len(_maps) < _MOST_MAPS:
                with contextlib.suppress(OSError):  # there may be no descriptor left
                    if sys.version_info >= (3, 13):
                        memory = mmap.mmap(fd, size, flags=_FLAGS, trackfd=False)
                    else:
                        memory = mmap.mmap(fd, size, flags=_FLAGS)
                    _maps.add(memory)
                    return memory
        copy = bytearray(size)
        left, at = memoryview(copy), 0
        while left and (count := os.preadv(fd, [left], at)):
            left, at = left[count:], at + count
        return copy
