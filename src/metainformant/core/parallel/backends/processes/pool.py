"""Worker processes, which `multiprocessing` starts, and we watch and kill."""

from __future__ import annotations

import atexit
import contextlib
import importlib
import math
import multiprocessing
import os
import sys
import tempfile
import threading
import warnings
import weakref
from multiprocessing import reduction, util
from time import monotonic
from typing import Any

from ...calls import MapCall
from ...errors import ParallelError
from ...host.cpus import cpu_count
from ...host.memory import used_memory
from ..ipc import pickling as pickling
from ..ipc.channel import channel
from ..ipc.shared_memory import Segment
from ..isolated.result_buffer import SIZE
from ..isolated.worker_pool import WorkerPool
from . import worker as process_worker
from .handle import ProcessHandle, no_fork
from .start import (
    WorkerName,
    check_may_start,
    has_room_for_sockets,
    main_can_be_imported,
    start,
    starting,
)

# Seconds for which workers of one pool are taken from the same fork server without asking whether
# files have changed: all that a map starts at first, but not those that replace them later.
_CHECK_SECONDS = 1.0

# All workers of this process that may still be alive, with the ends of pipes that a fork inherits,
# and whether the interpreter exits. Under the lock, which is also held while a worker is started,
# so that a fork knows all that it inherits. What the garbage collector calls may start another.
_lock = threading.RLock()
_living: weakref.WeakSet[ProcessHandle] = weakref.WeakSet()
_is_exiting = False
# What has `multiprocessing` kill those workers when this process exits. Under the lock.
_finalizer: util.Finalize | None = None
# Whether this process is a fork. Then `multiprocessing` takes its parent's fork server for its own.
_is_forked = False


def _may_have_server() -> bool:
    # Elsewhere a fork is not safe; and with the patches of eventlet descriptors can't be sent.
    return sys.platform == "linux" and hasattr(os, "memfd_create") and reduction.HAVE_SEND_HANDLE


def _fork_server() -> Any:
    return importlib.import_module(".fork_server", __package__)  # slow, and not for every method


class ProcessPool(WorkerPool):
    """A pool of worker processes."""

    sends_handles = True

    def __init__(self, call: MapCall, *, kept: bool = False, streams: bool = False) -> None:
        check_may_start(call.caller)
        super().__init__(call, kept=kept)
        method = call.options.start_method or default_start_method()
        # The default is a server of ours; one that was asked for is that of multiprocessing.
        self._has_server = call.options.start_method is None and _may_have_server()
        self._context: Any = (
            _fork_server().ForkServerContext()
            if self._has_server
            else multiprocessing.get_context(method)
        )
        self._checked = -math.inf  # when it was last looked whether the server is up to date
        self._method = method
        self._inner_threads = call.options.inner_threads or max(
            1, cpu_count() // call.workers.count
        )
        if method == "forkserver" and not self._has_server and not has_room_for_sockets():
            raise ParallelError(
                f"{call.caller}: the folder for temporary files, {tempfile.gettempdir()!r}, has "
                "too long a name for the socket of start_method='forkserver'. Leave start_method "
                "out, or set TMPDIR to a folder with a shorter one"
            )
        if call.options.memory_limit is not None:
            _check_memory(call.caller)
        self._forks = method == "fork"
        self._inherited: Any = None  # a preparation that workers have from their start
        self._func = call.func
        self.needs_function: bool = kept or not self._forks
        if not self._forks:
            if not main_can_be_imported():
                pickling.main_is_ours_alone = True  # and never False again: no lock
            try:
                self._packed = self.pack_preparation()
            except ParallelError:
                from .inherited import InheritedPreparation  # needed by few

                self._inherited = InheritedPreparation(call.caller, self.preparation)
        elif streams or threading.active_count() > 1:
            whose = "the threads of the stream" if streams else "other threads"
            warnings.warn(
                f"{call.caller}: start_method='fork' copies a process that has {whose}, and locks "
                "that these hold stay locked for ever in the copies; leave start_method out, or "
                "use 'forkserver' or 'spawn'",
                RuntimeWarning,
                stacklevel=_callers_level(),
            )

    def _forget_workers(self) -> None:
        super()._forget_workers()
        if self._method == "forkserver" and not self._has_server:  # it is the parent's
            self._method = "spawn"
            self._context = multiprocessing.get_context(self._method)

    def start(self, name: str) -> ProcessHandle:
        with _lock, contextlib.ExitStack() as on_failure, contextlib.ExitStack() as always:
            _kill_at_exit()
            if self._forks:
                always.enter_context(no_fork())
            ours, theirs = channel()
            on_failure.callback(ours.close)
            always.callback(theirs.close)
            segment = Segment(SIZE)
            always.callback(segment.close)  # the memory stays
            lifeline, our_lifeline = self._context.Pipe(duplex=False)
            on_failure.callback(our_lifeline.close)
            always.callback(lifeline.close)
            stacks, their_stacks = self._context.Pipe(duplex=False)
            on_failure.callback(stacks.close)
            always.callback(their_stacks.close)
            process = self._process(
                name, (ours, our_lifeline, stacks), (theirs, segment, lifeline, their_stacks)
            )
            handle = ProcessHandle(name, process, ours, segment, (our_lifeline, stacks))
            _living.add(handle)
            on_failure.pop_all()
        if not self._forks and self._inherited is None:
            self.prepare(handle, self._packed)
        return handle

    def _process(self, name: str, ours: tuple[Any, ...], theirs: tuple[Any, ...]) -> Any:
        inherited: tuple[Any, ...] = (self._inherited, None)
        if self._forks:
            inherited = (self.preparation, None if self.needs_function else self._func)
        if _is_exiting:
            raise OSError("the interpreter exits")
        not_ours: tuple[Any, ...] = ()
        if self._forks:
            not_ours = (*ours, *(end for handle in _living for end in handle.inherited()))
        args = (*theirs, *inherited, self._inner_threads, not_ours)
        with starting(self._method):
            process = self._started(name, args)
            if self._has_server and monotonic() > self._checked + _CHECK_SECONDS:
                # While it is being started, since that takes as long.
                if not _fork_server().is_fresh():
                    process.kill()
                    _fork_server().retire()
                    process = self._started(name, args)
                self._checked = monotonic()
        return process

    def _started(self, name: str, args: tuple[Any, ...]) -> Any:
        process = self._context.Process(
            target=process_worker.main, name=WorkerName(name), args=args
        )
        start(process)
        return process


def _callers_level() -> int:
    """Return how far up the code is that is not ours, for `warnings.warn` in our caller."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(
        "metainformant.core.parallel."
    ):
        frame, level = frame.f_back, level + 1
    return level


def _check_memory(label: str) -> None:
    try:
        used_memory(os.getpid())
    except ImportError as error:
        raise ImportError(
            f"{label}: memory_limit needs psutil on this platform: pip install psutil"
        ) from error


def default_start_method() -> str:
    """Return what CPython uses from 3.14 on. Never fork: see the docs of `multiprocessing`."""
    methods = multiprocessing.get_all_start_methods()
    if "forkserver" not in methods or sys.platform == "darwin":
        return "spawn"
    if _may_have_server():
        return "forkserver"  # which is ours
    return "spawn" if _is_forked or not has_room_for_sockets() else "forkserver"


def _kill_at_exit() -> None:
    """Have workers that are left killed before `multiprocessing` waits for their end.

    In a process that it has started itself that matters: `atexit` runs nothing there.
    """
    global _finalizer
    if _finalizer is None:
        _finalizer = util.Finalize(None, _kill_all, exitpriority=0)


@atexit.register
def _kill_all() -> None:
    """At exit, workers of maps that were never ended must not keep the interpreter waiting."""
    global _is_exiting
    with _lock:
        _is_exiting = True  # or the threads of those maps would replace them
        handles = list(_living)
    for handle in handles:
        handle.kill()


def _forget_all() -> None:
    """In the child of a fork: the workers are its parent's, and so is whoever holds the lock."""
    global _lock, _living, _is_forked, _finalizer
    _lock, _living, _is_forked = threading.RLock(), weakref.WeakSet(), True
    _finalizer = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
