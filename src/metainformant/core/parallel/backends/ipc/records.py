"""Records: bytes of any length in a pipe, each of which is read whole.

An end of a pipe either waits, for the other side to write or for room, or never does. Whoever
listens to many pipes must not wait: the writer of one may be stopped in the middle of a record.
"""

from __future__ import annotations

import os
import struct
import sys
from multiprocessing.connection import Connection

if sys.platform == "win32":

    class RecordReader:
        """A reader of records, which come whole, since pipes of Windows keep messages apart."""

        def __init__(self, connection: Connection, *, waits: bool) -> None:
            self._connection = connection
            self._waits = waits

        def read(self) -> bytes | None:
            if not self._waits and not self._connection.poll(0):
                return None
            return self._connection.recv_bytes()

    class RecordWriter:
        """A writer of records. It waits in any case, if the pipe has too little room for one."""

        has_rest = False

        def __init__(self, connection: Connection, *, waits: bool) -> None:
            self._connection = connection

        def write(self, record: bytes) -> None:
            self._connection.send_bytes(record)

        def write_rest(self) -> None: ...

else:
    # What Connection does, in half the time: each message of a small task counts.

    _SIZE = struct.Struct("=Q")
    # Bytes that are asked for at a time. A pipe seldom has more.
    _AT_ONCE = 2**20

    class RecordReader:
        """A reader of records, which keeps the first part of one whose rest is not there yet.

        Args:
            connection: what to read from, in one thread.
            waits: whether it waits for what is not there.
        """

        def __init__(self, connection: Connection, *, waits: bool) -> None:
            self._connection = connection
            self._size: int | None = None  # of the record that is being read, once that is known
            self._part = bytearray()
            if not waits:
                os.set_blocking(connection.fileno(), False)

        def read(self) -> bytes | bytearray | None:
            """Return the next record; None if it is not there whole, and this end does not wait.

            Raises:
                EOFError: if the other side is gone.
            """
            fd, size = self._connection.fileno(), self._size
            if size is None:
                head = self._read(fd, _SIZE.size)
                if head is None:
                    return None
                (size,) = _SIZE.unpack(head)
                self._size = size
            record = self._read(fd, size)
            if record is not None:
                self._size = None
            return record

        def _read(self, fd: int, size: int) -> bytes | bytearray | None:
            """Return so many bytes once all of them were read."""
            part = self._part
            try:
                while True:
                    left = size - len(part)
                    more = os.read(fd, left if left < _AT_ONCE else _AT_ONCE)
                    if len(more) == size:  # as it mostly is
                        return more
                    if not more:
                        raise EOFError
                    part += more
                    if len(part) == size:
                        self._part = bytearray()
                        return part
            except BlockingIOError:
                return None

    class RecordWriter:
        """A writer of records, which keeps what the pipe has no room for.

        Args:
            connection: what to write to, in one thread.
            waits: whether it waits for room.
        """

        def __init__(self, connection: Connection, *, waits: bool) -> None:
            self._connection = connection
            self._rest = b""
            if not waits:
                os.set_blocking(connection.fileno(), False)

        @property
        def has_rest(self) -> bool:
            """Whether there is something left that `write_rest` is to write."""
            return bool(self._rest)

        def write(self, record: bytes) -> None:
            """Write a record, or what there is room for at an end that does not wait."""
            self._write(self._rest + _SIZE.pack(len(record)) + record)

        def write_rest(self) -> None:
            """Go on with what there was no room for."""
            self._write(self._rest)

        def _write(self, left: bytes) -> None:
            self._rest = b""  # if the other side is gone, nothing has to be written any more
            fd = self._connection.fileno()
            try:
                while (written := os.write(fd, left)) < len(left):
                    left = left[written:]
            except BlockingIOError:
                self._rest = left
