"""Messages between the engine's side and a worker: one at a time, in order, each read whole."""

from __future__ import annotations

import mmap
import pickle
import socket
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection, Pipe
from typing import Any

from .parcel import Parcel, filled, mapped


class Channel:
    """One end. What is large goes beside the messages, as shared memory.

    Messages are tuples, the first of which says what it is. A parcel among them is the last.
    Each end belongs to one thread.
    """

    def __init__(self, connection: Connection, post: socket.socket | None) -> None:
        self.connection = connection
        self._post = post  # carries file descriptors; None on Windows, where memory has names
        # Memory with a name has to be kept until the other side has opened it, which it has when
        # it answers or listens again.
        self._kept: list[Any] = []

    def send(self, *message: Any) -> None:
        self.connection.send_bytes(pickle.dumps(message, 5))

    def send_parcel(self, parcel: Parcel, parts: list[Any], *message: Any) -> None:
        handle = None
        if parcel.body is None:
            handle = self._send_apart(parts, parcel.size)
        self.send(*message, handle, tuple(parcel))

    def receive(self) -> tuple[Any, ...]:
        """The next message. EOFError or OSError if the other side is gone."""
        self._kept.clear()
        return pickle.loads(self.connection.recv_bytes())  # type: ignore[no-any-return]

    def open(self, handle: Any, fields: tuple[Any, ...]) -> tuple[Parcel, memoryview | None]:
        """The parcel at the end of a message, and what came with it."""
        parcel = Parcel(*fields)
        if parcel.body is not None:
            return parcel, None
        return parcel, memoryview(self._receive_apart(handle, parcel.size))

    def poll(self) -> bool:
        return self.connection.poll(0)

    def fileno(self) -> int:
        return self.connection.fileno()

    def close(self) -> None:
        self.connection.close()
        if self._post is not None:
            self._post.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return Channel, (self.connection, self._post)

    if sys.platform == "win32":

        def _send_apart(self, parts: list[Any], size: int) -> Any:
            segment = filled(parts, size)
            self._kept.append(segment)
            return segment.name

        def _receive_apart(self, handle: Any, size: int) -> mmap.mmap:
            return mmap.mmap(-1, size, tagname=handle)

    else:

        def _send_apart(self, parts: list[Any], size: int) -> Any:
            import os

            assert self._post is not None  # noqa: S101
            fd = filled(parts, size)
            try:
                socket.send_fds(self._post, [b"f"], [fd])
            finally:
                os.close(fd)
            return None

        def _receive_apart(self, handle: Any, size: int) -> mmap.mmap | bytearray:
            import os

            assert self._post is not None  # noqa: S101
            _, fds, _, _ = socket.recv_fds(self._post, 1, 1)
            if not fds:
                raise EOFError
            try:
                return mapped(fds[0], size)
            finally:
                os.close(fds[0])

        _unused: Callable[..., Any]


def channel() -> tuple[Channel, Channel]:
    """Two ends."""
    ours, theirs = Pipe()
    if sys.platform == "win32":
        return Channel(ours, None), Channel(theirs, None)
    post, their_post = socket.socketpair()
    return Channel(ours, post), Channel(theirs, their_post)
