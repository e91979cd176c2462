"""Forks that tasks make with `os.fork`, and that come back from the task in the child.

Such a child is a copy of the worker. It must not go on as one: the outcome of the item is the
parent's, and so are all further items. So it ends as a script would that has come to its end. The
same holds for the preparation of a worker.
"""

from __future__ import annotations

import contextlib
import os
import sys
import weakref

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import NoReturn


class ForkSign:
    """A sign that is False in the process that made it, and True in each fork of that.

    Attributes:
        is_fork: whether this process is a fork. Looking at it is fast, asking for the pid is not.
    """

    __slots__ = ("__weakref__", "is_fork")

    def __init__(self) -> None:
        self.is_fork: bool = False
        _signs.add(self)


_signs: weakref.WeakSet[ForkSign] = weakref.WeakSet()


def _set_all() -> None:
    for sign in list(_signs):
        sign.is_fork = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_set_all)


@contextlib.contextmanager
def leaving_forks() -> Iterator[None]:
    """Let each fork that is made in the block end where the block does."""
    sign = ForkSign()
    try:
        yield
    except BaseException as error:
        if sign.is_fork:
            leave_fork(error)
        raise
    if sign.is_fork:
        leave_fork()


def leave_fork(error: BaseException | None = None) -> NoReturn:
    """End this process, which is a fork, as Python ends a script: with `error`, if it had one."""
    status = 0
    with contextlib.suppress(BaseException):
        if isinstance(error, SystemExit):
            code = error.code
            status = code if isinstance(code, int) else int(code is not None)
            if status and not isinstance(code, int):
                print(code, file=sys.stderr)  # noqa: T201
        elif error is not None:
            status = 1
            sys.excepthook(type(error), error, error.__traceback__)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(BaseException):
            stream.flush()
    os._exit(status & 0xFF)
