"""What happens to subinterpreters when the process exits."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import warnings
import weakref
from collections.abc import Container
from time import monotonic, sleep
from typing import Any

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .pool import InterpreterHandle

# Seconds that calls have to end when the interpreter exits.
_LAST_GRACE = 0.15


_living: weakref.WeakSet[InterpreterHandle] = weakref.WeakSet()


class _Spy:
    """Sees the functions that are registered to be called at exit; equal to those at `places`."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, places: Container[int] = ()) -> None:
        self.seen: list[object] = []
        self._places = places

    def __eq__(self, other: object) -> bool:
        self.seen.append(other)
        return len(self.seen) - 1 in self._places


def _call_older() -> None:
    """Call what is registered to be called at exit after `_end_all`, which is what is older."""
    newest = atexit.register(lambda: None)
    spy: Any = _Spy()
    atexit.unregister(spy)
    at, end = spy.seen.index(_end_all), spy.seen.index(newest)
    called: Any = _Spy(range(min(at, end), max(at, end) + 1))
    atexit.unregister(called)
    atexit._run_exitfuncs()


@atexit.register
def _end_all() -> None:
    """At exit, calls that are stuck must not keep the interpreter waiting.

    CPython ends all interpreters when it exits, and crashes if one of them is running. So calls are
    ended that let themselves be ended. Those that are blocked do no harm. But if there is one that
    goes on, or keeps its GIL so that nothing can be known of it, then all that would have been done
    at exit is done here, and the process ended: its exit status is 1 then.
    """
    if not (left := [handle for handle in _living if handle.is_alive()]):
        return
    for handle in left:
        handle.request_exit()
    until = monotonic() + _LAST_GRACE
    while any(handle.is_alive() and handle.is_busy() for handle in left) and monotonic() < until:
        sleep(0.001)
    left = [handle for handle in left if handle.is_alive()]
    if all(handle.part() for handle in left):
        warnings.filterwarnings("ignore", "remaining subinterpreters", RuntimeWarning)
        return
    _call_older()
    with contextlib.suppress(Exception):
        print(  # noqa: T201
            f"{left[0].name} and perhaps others still run and can't be ended, so the process exits "
            "with status 1.",
            file=sys.stderr,
        )
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(1)
