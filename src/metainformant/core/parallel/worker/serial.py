"""The mode in which every map runs in the thread of its caller."""

from __future__ import annotations

from ..public import public
from .context import is_serial

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextvars import Token
    from typing import Any


class SerialMode:
    """A `with` block in which it holds."""

    def __init__(self) -> None:
        self._tokens: list[Token[bool]] = []

    def __enter__(self) -> None:
        self._tokens.append(is_serial.set(True))

    def __exit__(self, *_: Any) -> None:
        is_serial.reset(self._tokens.pop())


@public
def serial() -> SerialMode:
    """Let every map in a `with` block run in the thread of its caller, one item after the other.

    For debuggers, profilers and comparisons: `pdb` works in the function, and its frames are below
    those of the caller. Maps take the same options, and mean the same by them; the kind and number
    of workers make no difference. What can't be: nothing is ended or reported while a call runs,
    so a timeout is noted when the call returns.

    It holds for this thread, and for coroutines that are started in the block. `backend="serial"`
    does the same for one stream or pool.

    >>> import threading
    >>> from metainformant.core import parallel
    >>> with parallel.serial():
    ...     threads = parallel.process_map(lambda item: threading.current_thread(), range(3))
    >>> set(threads) == {threading.current_thread()}
    True
    """
    return SerialMode()
