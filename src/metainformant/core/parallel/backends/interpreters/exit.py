"""Let the process exit while calls in interpreters go on.

When a process exits, CPython ends its interpreters. Where one of them is running then, the first
releases of 3.14 crash (CPython issue 126016). 3.14.10 and 3.15.2 do not, but wait, for ever if need
be, for one whose C code keeps its GIL. `_end_all` therefore ends the process itself, after calling
what else is registered with `atexit`, for which there is no public function: hence `_AtexitSpy`.
All of this can go when the oldest supported version neither crashes nor waits.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import warnings
import weakref
from collections.abc import Container
from time import monotonic, sleep
from typing import Any, Protocol

# Seconds that calls have to end when the process exits.
_GRACE_SECONDS = 0.15


class RunningInterpreter(Protocol):
    """The handle of a worker that is an interpreter."""

    name: str

    def is_alive(self) -> bool:
        """Return whether its thread runs."""
        ...

    def is_busy(self) -> bool:
        """Return whether there is something that can be ended."""
        ...

    def request_exit(self) -> None:
        """Let it end its call, and then itself."""
        ...

    def stop_listening(self) -> bool:
        """Let it listen no more; return whether it is sure to do nothing any more."""
        ...


_running: weakref.WeakSet[RunningInterpreter] = weakref.WeakSet()


def end_at_exit(interpreter: RunningInterpreter) -> None:
    """See to it that a worker does not keep the process from exiting."""
    _running.add(interpreter)


@atexit.register
def _end_all() -> None:
    """End the calls that let themselves be ended; if there is another, end the process.

    Calls that are blocked do no harm. But if there is one that goes on, or keeps its GIL so that
    nothing can be known of it, then all that would have been done at exit is done here, and the
    process ended: its exit status is 1 then.
    """
    if not (left := [interpreter for interpreter in _running if interpreter.is_alive()]):
        return
    for interpreter in left:
        interpreter.request_exit()
    until = monotonic() + _GRACE_SECONDS
    while any(one.is_alive() and one.is_busy() for one in left) and monotonic() < until:
        sleep(0.001)
    left = [interpreter for interpreter in left if interpreter.is_alive()]
    if all(interpreter.stop_listening() for interpreter in left):
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


class _AtexitSpy:
    """An object that sees all functions registered with `atexit`, and removes some of them.

    `atexit.unregister` compares it with each of them, and removes those that it equals: those at
    `places`.
    """

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, places: Container[int] = ()) -> None:
        self.seen: list[object] = []
        self._places = places

    def __eq__(self, other: object) -> bool:
        self.seen.append(other)
        return len(self.seen) - 1 in self._places


def _call_older() -> None:
    """Call what was registered with `atexit` before this module was imported."""
    newest = atexit.register(lambda: None)
    spy: Any = _AtexitSpy()
    atexit.unregister(spy)
    at, end = spy.seen.index(_end_all), spy.seen.index(newest)
    called: Any = _AtexitSpy(range(min(at, end), max(at, end) + 1))
    atexit.unregister(called)
    atexit._run_exitfuncs()
