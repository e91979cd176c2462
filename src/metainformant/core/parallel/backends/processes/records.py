"""Files in memory that a fork server, its workers and the caller share."""

from __future__ import annotations

import os
import pickle
import struct
from typing import Any

from ..ipc.shared_memory import filled


class _Record:
    """A file in memory: some numbers, which change, and what was written at first."""

    START = 16  # bytes, of two numbers

    def __init__(self, fd: int) -> None:
        self.fd: int = fd

    @classmethod
    def filled(cls, *parts: Any) -> Any:
        return cls(filled((bytes(cls.START), *parts), 0))  # the size is for Windows only

    def _get(self, which: int) -> int:
        if self.fd < 0:
            return 0
        return int(struct.unpack("q", os.pread(self.fd, 8, 8 * which))[0])

    def _set(self, which: int, number: int) -> None:
        if self.fd >= 0:
            os.pwrite(self.fd, struct.pack("q", number), 8 * which)

    def close(self) -> None:
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)


class WorkerRecord(_Record):
    """The news for a worker: changes of the environment, preparation data, the process object.

    Whether it has a pid and whether it is cancelled: each side sets its own and then looks at the
    other's, so it can't be that neither sees the other.
    """

    def pid(self) -> int:
        return self._get(0)

    def set_pid(self, pid: int) -> None:
        self._set(0, pid)

    def is_cancelled(self) -> bool:
        return bool(self._get(1))

    def cancel(self) -> None:
        self._set(1, 1)


class ServerRecord(_Record):
    """Preparation data for the server, and behind it what the template has imported."""

    def report(self) -> tuple[dict[str, Any], str] | None:
        """Return what the server has told; None if it does not serve yet.

        That is the stamps of the files that were imported, or why workers import the script each.
        """
        start, size = self._get(0), self._get(1)
        return pickle.loads(os.pread(self.fd, size, start)) if size else None

    def is_serving(self) -> bool:
        return self._get(1) != 0

    def set_report(self, files: dict[str, Any], reason: str = "") -> None:
        data = pickle.dumps((files, reason))
        start = os.fstat(self.fd).st_size
        os.pwrite(self.fd, data, start)
        self._set(0, start)
        self._set(1, len(data))  # last
