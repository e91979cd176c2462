"""Messages between the engine's side and a worker: one at a time, in order, each read whole."""

from __future__ import annotations

import mmap
import pickle
import socket
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection, Pipe
from typing import Any

from .payload import Parcel
from .shared_memory import filled, mapped


class Channel:
    """One end. What is large goes beside the messages, as shared memory.

    Messages are tuples, the first of which says what it is. A parcel among them is the last.
    Each end belongs to one thread.
    """

    def __init__(self, reader: Connection, writer: Connection, post: socket.socket | None) -> None:
        self.reader = reader
        self._writer = writer
        self._post = post  # carries file descriptors; None on Windows, where memory has names
        # Memory with a name has to be kept until the other side has opened it, which it has when
        # it answers or listens again.
        self._kept: list[Any] = []

    @property
    def parts(self) -> tuple[Connection, Connection, socket.socket | None]:
        """What it is made of."""
        return self.reader, self._writer, self._post

    def send(self, *message: Any) -> None:
        self._writer.send_bytes(pickle.dumps(message, 5))

    def send_parcel(self, parcel: Parcel, parts: list[Any], *message: Any) -> None:
        handle = None
        if parcel.body is None:
            handle = self._send_apart(parts, parcel.size)
        self.send(*message, handle, tuple(parcel))

    def receive(self) -> tuple[Any, ...]:
        """The next message. EOFError or OSError if the other side is gone."""
        self._kept.clear()
        return pickle.loads(self.reader.recv_bytes())  # type: ignore[no-any-return]

    def open(self, handle: Any, fields: tuple[Any, ...]) -> tuple[Parcel, memoryview | None]:
        """The parcel at the end of a message, and what came with it."""
        parcel = Parcel(*fields)
        if parcel.body is not None:
            return parcel, None
        return parcel, memoryview(self._receive_apart(handle, parcel.size))

    def later(self, handle: Any, fields: tuple[Any, ...]) -> Callable[[], Any]:
        """What reads the only object of such a parcel, or raises what kept it from coming."""
        try:
            parcel, memory = self.open(handle, fields)
        except (EOFError, OSError) as error:  # there may be no descriptor left
            why = str(error) or "it could not be received"

            def refuse() -> Any:
                raise OSError(why)

            return refuse
        return lambda: next(parcel.unpack(memory))

    def poll(self) -> bool:
        return self.reader.poll(0)

    def close(self) -> None:
        self.reader.close()
        self._writer.close()
        if self._post is not None:
            self._post.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return Channel, self.parts

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


def channel() -> tuple[Channel, Channel]:
    """Two ends."""
    # Two pipes of one way each are faster than one of both ways, which is a socket.
    our_reader, their_writer = Pipe(duplex=False)
    their_reader, our_writer = Pipe(duplex=False)
    our_post = their_post = None
    if sys.platform != "win32":
        our_post, their_post = socket.socketpair()
    return (
        Channel(our_reader, our_writer, our_post),
        Channel(their_reader, their_writer, their_post),
    )
