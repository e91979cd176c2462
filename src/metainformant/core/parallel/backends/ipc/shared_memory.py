"""Memory that several processes or interpreters see."""

from __future__ import annotations

import contextlib
import mmap
import os
import sys
import tempfile
import threading
import weakref
from collections.abc import Iterable, Sequence
from typing import Any

# The most payloads that are mapped at the same time. Each takes one of the 65,530 maps that Linux
# allows a process, and before CPython 3.13 one of often only 1024 descriptors. More are copied.
_MOST_MAPS = 10_000 if sys.version_info >= (3, 13) else 100


# The most parts that one call of writev takes everywhere.
_MOST_PARTS = 512


if sys.platform == "win32":

    class Segment:
        """Shared memory that is opened by its name, and gone with the last who has it open."""

        def __init__(self, size: int, name: str = "") -> None:
            self.name = name or f"metainformant-{os.getpid()}-{os.urandom(8).hex()}"
            self.size = size
            self.memory: mmap = mmap.mmap(-1, size, tagname=self.name)

        def __reduce__(self) -> tuple[Any, ...]:
            return Segment, (self.size, self.name)

        def shared(self) -> str:
            """Return what another interpreter makes its own Segment of."""
            return self.name

        def close(self) -> None:
            pass

    def filled(parts: Iterable[Any], size: int) -> Segment:
        segment = Segment(size)
        for part in parts:
            segment.memory.write(part)
        return segment

    def shared(parts: list[Any], _size: int) -> list[Any]:
        """Return the parts: here, each reader gets memory of its own."""
        return parts

else:

    def _anonymous() -> int:
        """Open a file in memory without a name."""
        if hasattr(os, "memfd_create"):
            return os.memfd_create("metainformant", os.MFD_CLOEXEC)
        with tempfile.TemporaryFile() as file:  # its name is gone at once
            return os.dup(file.fileno())

    class Segment:
        """Shared memory behind a file descriptor, which is gone with the last who has it open."""

        def __init__(self, size: int, fd: int | None = None) -> None:
            self.size = size
            self.fd: int = _anonymous() if fd is None else fd
            if fd is None:
                os.ftruncate(self.fd, size)
            self.memory: mmap.mmap = mmap.mmap(self.fd, size)

        def __reduce__(self) -> tuple[Any, ...]:
            # Only while a process is being started, as for everything that is inherited.
            from multiprocessing.reduction import DupFd

            return _reopened, (self.size, DupFd(self.fd))

        def shared(self) -> int:
            """Return what another interpreter makes its own Segment of."""
            return os.dup(self.fd)

        def close(self) -> None:
            """Give back the descriptor; the memory goes when nobody looks at it any more."""
            if self.fd >= 0:
                os.close(self.fd)
                self.fd = -1

    def _reopened(size: int, handle: Any) -> Segment:
        return Segment(size, handle.detach())

    def filled(parts: Sequence[Any], size: int) -> int:
        """Write the parts to a new file in memory; return its descriptor."""
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

    class SharedFile:
        """A file in memory for several readers, each of which sees its own changes only.

        It is there as long as this object, or a reader, has it open.
        """

        def __init__(self, parts: Sequence[Any], size: int) -> None:
            self.fd: int = filled(parts, size)
            weakref.finalize(self, os.close, self.fd)

    def shared(parts: list[Any], size: int) -> SharedFile:
        """Write the parts once, for all who are going to read them."""
        return SharedFile(parts, size)

    _lock = threading.Lock()
    _maps: weakref.WeakSet[mmap.mmap] = weakref.WeakSet()  # all that are in use; under the lock

    # All pages at once: a fault for each of them would cost more than copying them.
    _FLAGS = mmap.MAP_SHARED | getattr(mmap, "MAP_POPULATE", 0)

    def mapped(fd: int, size: int, *, is_shared: bool = False) -> mmap.mmap | bytearray:
        """Return the content of a file as memory to read and write; the descriptor stays open.

        Args:
            fd: the descriptor of the file.
            size: how much is in it.
            is_shared: whether there are other readers, who must not see what is changed here.
        """
        # What nobody changes is there once for all of them.
        flags = mmap.MAP_PRIVATE if is_shared else _FLAGS
        with _lock:
            if len(_maps) < _MOST_MAPS:
                with contextlib.suppress(OSError):  # there may be no descriptor left
                    if sys.version_info >= (3, 13):
                        memory = mmap.mmap(fd, size, flags=flags, trackfd=False)
                    else:
                        memory = mmap.mmap(fd, size, flags=flags)
                    _maps.add(memory)
                    return memory
        copy = bytearray(size)
        left, at = memoryview(copy), 0
        while left and (count := os.preadv(fd, [left], at)):
            left, at = left[count:], at + count
        return copy
