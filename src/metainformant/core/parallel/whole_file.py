"""Files that take their name when they are whole."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from typing import BinaryIO

_FLAGS = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0)
# Characters of the name that the temporary one repeats; names have at most 255 bytes.
_MAX_NAME = 50


class WholeFile:
    """A file for writing whose name is given to it by `commit`, at the end.

    Until then an earlier file of that name is untouched. Pipes and devices are written in place.

    Attributes:
        file: what is to be written to.

    Raises:
        OSError: if it can't be written; by `commit` too.
    """

    def __init__(self, path: str) -> None:
        self._mode = _mode(path)
        self._temporary: str | None = None
        self.file: BinaryIO
        if self._mode is not None and not stat.S_ISREG(self._mode):
            self.file = open(path, "wb")  # noqa: SIM115  # closed by `commit` and `discard`
            return
        self._target = os.path.realpath(path)  # a link stays a link
        if self._mode is not None and not os.access(self._target, os.W_OK):
            raise PermissionError(errno.EACCES, "it is write-protected", path)
        folder, name = os.path.split(self._target)
        # In the same folder, so that renaming it is one step.
        temporary = os.path.join(folder, f".{name[:_MAX_NAME]}.{secrets.token_hex(4)}.part")
        try:
            self.file = open(os.open(temporary, _FLAGS, 0o666), "wb")  # noqa: SIM115
        except OSError as error:
            raise type(error)(error.errno, error.strerror, path) from None
        self._temporary = temporary

    def commit(self) -> None:
        """Close the file and give it its name; if that fails, nothing is left of it."""
        try:
            if self._temporary is None:
                self.file.close()
                return
            self.file.flush()
            os.fsync(self.file.fileno())
            self.file.close()
            if self._mode is not None:
                os.chmod(self._temporary, stat.S_IMODE(self._mode))
            os.replace(self._temporary, self._target)
        except BaseException:
            self.discard()
            raise

    def discard(self) -> None:
        """Close the file and delete it; a pipe keeps what was written."""
        with contextlib.suppress(OSError):  # what is left in the buffer can't be written
            self.file.close()
        if self._temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(self._temporary)


@contextlib.contextmanager
def whole_file(path: str) -> Iterator[BinaryIO]:
    """Open a `WholeFile` for a block, at whose end it is committed unless something was raised.

    Raises:
        OSError: if it can't be written.
    """
    whole = WholeFile(path)
    try:
        yield whole.file
    except BaseException:
        whole.discard()
        raise
    whole.commit()


def _mode(path: str) -> int | None:
    try:
        return os.stat(path).st_mode
    except FileNotFoundError:
        return None
