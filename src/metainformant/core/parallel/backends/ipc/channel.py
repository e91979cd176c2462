"""A channel between two processes or interpreters: messages in order, each read whole."""

from __future__ import annotations

import mmap
import os
import pickle
import socket
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection, Pipe
from typing import Any

from .payload import Packed, Payload
from .records import RecordReader, RecordWriter
from .shared_memory import filled, mapped

if sys.platform != "win32":
    from .shared_memory import SharedFile

# What stands for a payload in a message: what `Channel.attach` returns and `Channel.open` takes.
Attachment = tuple[Any, ...]


class Channel:
    """One end. What is large goes beside the messages, as shared memory.

    Messages are tuples. Whoever receives one with an attachment opens that before the next message.
    Each end belongs to one thread.

    Args:
        reader: where messages come from.
        writer: where they go to.
        fd_socket: what carries file descriptors; None on Windows, where memory has names.
        waits: whether this end waits for the other, or never does: see `ipc/records.py`.
    """

    def __init__(
        self,
        reader: Connection,
        writer: Connection,
        fd_socket: socket.socket | None,
        *,
        waits: bool = True,
    ) -> None:
        self.reader = reader
        self.writer = writer
        self._records = RecordReader(reader, waits=waits)
        self._sent = RecordWriter(writer, waits=waits)
        self._fd_socket = fd_socket
        # Memory with a name has to be kept until the other side has opened it, which it has when
        # it answers or listens again.
        self._kept: list[Any] = []

    @property
    def parts(self) -> tuple[Connection, Connection, socket.socket | None]:
        """The parts that it is made of."""
        return self.reader, self.writer, self._fd_socket

    def send(self, message: tuple[Any, ...]) -> None:
        """Send a message, or at an end that does not wait, what there is room for."""
        self._sent.write(pickle.dumps(message, 5))

    @property
    def has_rest(self) -> bool:
        """Whether there was no room for all that was sent, so that `send_rest` has to go on."""
        return self._sent.has_rest

    def send_rest(self) -> None:
        """Send what there is room for by now; nothing more if that fails."""
        self._sent.write_rest()

    def receive(self) -> tuple[Any, ...] | None:
        """Return the next message; None if it is not there whole, at an end that does not wait.

        EOFError or OSError if the other side is gone.
        """
        record = self._records.read()
        if record is None:
            return None
        if self._kept:
            self._kept.clear()
        return pickle.loads(record)  # type: ignore[no-any-return]

    def attach(self, packed: Packed) -> Attachment:
        """Send what is large of a payload, ahead of the message that has the attachment."""
        payload, parts = packed
        sent = self._send_out_of_band(parts, payload.size) if payload.body is None else None
        return sent, *payload

    def open(self, attachment: Attachment) -> tuple[Payload, memoryview | None]:
        """Receive the payload of an attachment, and the memory that its objects are in."""
        sent, *fields = attachment
        payload = Payload(*fields)
        if payload.body is not None:
            return payload, None
        return payload, memoryview(self._receive_out_of_band(sent, payload.size))

    def open_later(self, attachment: Attachment) -> Callable[[], Any]:
        """Receive an attachment; return what reads its only object, or raises why it can't."""
        try:
            payload, memory = self.open(attachment)
        except (EOFError, OSError, MemoryError) as error:  # there may be no descriptor left
            kind, why = type(error), str(error) or "it could not be received"

            def refuse() -> Any:
                raise kind(why)

            return refuse
        return lambda: next(payload.unpack(memory))

    def close(self) -> None:
        self.reader.close()
        self.writer.close()
        if self._fd_socket is not None:
            self._fd_socket.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return Channel, self.parts

    if sys.platform == "win32":

        def _send_out_of_band(self, parts: list[Any], size: int) -> Any:
            segment = filled(parts, size)
            self._kept.append(segment)
            return segment.name

        def _receive_out_of_band(self, name: Any, size: int) -> mmap.mmap:
            return mmap.mmap(-1, size, tagname=name)

    else:

        def _send_out_of_band(self, parts: list[Any] | SharedFile, size: int) -> bool:
            assert self._fd_socket is not None  # noqa: S101
            if isinstance(parts, SharedFile):
                socket.send_fds(self._fd_socket, [b"f"], [parts.fd])
                return True
            fd = filled(parts, size)
            try:
                socket.send_fds(self._fd_socket, [b"f"], [fd])
            finally:
                os.close(fd)
            return False

        def _receive_out_of_band(self, is_shared: bool, size: int) -> mmap.mmap | bytearray:
            assert self._fd_socket is not None  # noqa: S101
            _, fds, _, _ = socket.recv_fds(self._fd_socket, 1, 1)
            if not fds:
                raise EOFError
            try:
                return mapped(fds[0], size, is_shared=is_shared)
            finally:
                os.close(fds[0])


def channel() -> tuple[Channel, Channel]:
    """Make the two ends of a channel: ours, which never waits, and that of a worker."""
    # Two pipes of one way each are faster than one of both ways, which is a socket.
    our_reader, their_writer = Pipe(duplex=False)
    their_reader, our_writer = Pipe(duplex=False)
    our_fd_socket = their_fd_socket = None
    if sys.platform != "win32":
        our_fd_socket, their_fd_socket = socket.socketpair()
        # What goes through it is there before the message that tells of it.
        our_fd_socket.setblocking(False)
    return (
        Channel(our_reader, our_writer, our_fd_socket, waits=False),
        Channel(their_reader, their_writer, their_fd_socket),
    )
