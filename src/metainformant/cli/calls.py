"""The calls of the function: with a record or a batch, in a thread or in another process."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from .function import Function, load_function
from .record import Record


class NotStartedError(Exception):
    """A record was not started, because a signal had stopped the run before."""


class ImportedFunction:
    """A function by its name, which each process looks up for itself.

    Args:
        spec: what `load_function` takes.
        directory: that of the caller, for processes that are not in it: its modules are found too.
    """

    def __init__(self, spec: str, directory: str | None = None) -> None:
        self._spec = spec
        self._directory = directory
        self._function: Function | None = None

    @property
    def __wrapped__(self) -> Function:
        if self._function is None:
            spec = self._spec
            if self._directory is not None:
                sys.path.insert(0, self._directory)
                place, colon, name = spec.rpartition(":")
                if place.endswith(".py"):
                    spec = f"{Path(self._directory, place)}{colon}{name}"
            self._function = load_function(spec)
        return self._function

    def __call__(self, value: Any) -> Any:
        function = self._function or self.__wrapped__
        return function(value)

    def __reduce__(self) -> tuple[Any, ...]:
        return ImportedFunction, (self._spec, self._directory)


def prepare_worker() -> None:
    """Prepare a worker process for functions.

    `print` writes to stderr: descriptor 1 is that already, as in the parent, but `sys.stdout` would
    hold text back, and lose it if the process is killed.

    SIGTERM and SIGHUP are left to the parent, because batch systems and terminals send them to all
    processes: calls in flight have their grace. Programs that the function starts get them.
    """
    sys.stdout = sys.stderr
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _leave_to_parent)
            if hasattr(os, "register_at_fork"):
                os.register_at_fork(after_in_child=partial(signal.signal, number, signal.SIG_DFL))


def _leave_to_parent(_number: int, _frame: object) -> None:
    """Do nothing. Unlike SIG_IGN, this is not inherited by programs."""


def leave_interrupts_to_parent() -> None:
    """Let Ctrl-C in a terminal, which reaches all processes there, be answered by one of them."""
    signal.signal(signal.SIGINT, _leave_to_parent)


class PerRecord(NamedTuple):
    """A call of the function with the value of a record."""

    function: Function

    @property
    def __wrapped__(self) -> Function:  # whose name and code a checkpoint keeps
        return self.function

    def __call__(self, record: Record) -> Any:
        return self.function(record.value)


class PerBatch(NamedTuple):
    """A call of the function with a list of the values of several records."""

    function: Function

    @property
    def __wrapped__(self) -> Function:  # whose name and code a checkpoint keeps
        return self.function

    def __call__(self, batch: list[Record]) -> list[Any]:
        return self.checked(batch, self.function([record.value for record in batch]))

    def checked(self, batch: list[Record], results: Any) -> list[Any]:
        """Return what the function has returned for a batch, if that is a result per record."""
        if isinstance(results, (str, bytes, dict)) or not isinstance(results, Iterable):
            raise TypeError(
                f"with --batch-size the function must return a list with one result per record, "
                f"but it returned {type(results).__name__}"
            )
        listed = list(results)
        if len(listed) != len(batch):
            raise ValueError(
                f"the function returned {len(listed)} results for {len(batch)} records; "
                "with --batch-size it must return one per record"
            )
        return listed


class InFlight:
    """The calls that run in threads of this process now.

    Any thread may call, and look.
    """

    def __init__(self, call: Callable[[Any], Any], is_stopping: Callable[[], bool]) -> None:
        self.__wrapped__: Callable[[Any], Any] = call
        self._call = call
        self._is_stopping = is_stopping
        self._calls: set[object] = set()  # what stands for each; every operation on it is atomic
        self._lock = threading.Lock()
        self._refused = 0  # records that were not started; under the lock
        self._refused_before: int | None = None  # when `is_idle` was asked; owned by who asks

    def __bool__(self) -> bool:
        return bool(self._calls)

    def is_idle(self) -> bool:
        """Return whether nothing is in flight, nor was refused since this was asked before.

        Once the run is stopping, threads refuse what they have left. One that is between two
        records has none in flight, and is not idle.
        """
        before, self._refused_before = self._refused_before, self._refused
        return not self._calls and before == self._refused_before

    def __call__(self, item: Any) -> Any:
        me = threading.get_ident()
        # In flight before it asks whether to stop: else it could be missed and yet start.
        self._calls.add(me)
        try:
            self._refuse_if_stopping()
            return self._call(item)
        finally:
            self._calls.discard(me)

    def _refuse_if_stopping(self) -> None:
        if self._is_stopping():
            with self._lock:
                self._refused += 1
            raise NotStartedError
