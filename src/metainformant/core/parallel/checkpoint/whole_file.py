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


@contextlib.contextmanager
def whole_file(path: str) -> Iterator[BinaryIO]:
    """Open a file for writing whose name is given to it at the end, if nothing was raised.

    Until then an earlier file of that name is untouched. Pipes and devices are written in place.

    Raises:
        OSError: if it can't be written.
    """
    mode = _mode(path)
    if mode is not None and not stat.S_ISREG(mode):
        with open(path, "wb") as file:
            yield file
        return
    target = os.path.realpath(path)  # a link stays a link
    if mode is not None and not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, "it is write-protected", path)
    folder, name = os.path.split(target)
    # In the same folder, so that renaming it is one step.
    temporary = os.path.join(folder, f".{name[:_MAX_NAME]}.{secrets.token_hex(4)}.part")
    try:
        descriptor = os.open(temporary, _FLAGS, 0o666)
    except OSError as error:
        raise type(error)(error.errno, error.strerror, path) from None
    try:
        with open(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(descriptor)
        if mode is not None:
            os.chmod(temporary, stat.S_IMODE(mode))
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _mode(path: str) -> int | None:
    try:
        return os.stat(path).st_mode
    except FileNotFoundError:
        return None
