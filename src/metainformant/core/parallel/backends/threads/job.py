"""A chunk that a thread runs, and what can be seen of it from outside."""

from __future__ import annotations

import os
import sys
import threading
from time import monotonic, thread_time

from ...engine.backend import Finished, nothing_runs
from ...errors import FATAL
from ...host.gil import HAS_GIL
from ...worker import running
from ...worker.frames import clear_locals, own_code, own_frame
from ...worker.interrupt import Interruptible, TaskEnded
from .items import truncatable_items

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import CodeType
    from typing import Any

    from ...engine.source import Chunk
    from ...errors import Frame
    from ...host.programs import Programs
    from ...worker.current_task import CurrentTask
    from .thread_group import ThreadGroup


def _end_in_fork() -> None:
    job = getattr(running.get_describe(), "__self__", None)
    if isinstance(job, ThreadJob):
        job.end_in_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_end_in_fork)


class ThreadJob:
    """A chunk that was handed to the thread backend.

    The worker that runs it writes all attributes, and the engine's thread reads them: `started`,
    `thread`, the length of `out` and what is below that length at any time, the rest once the job
    has ended. The queues between the two threads order everything else.
    """

    __slots__ = (
        "_expires",
        "_group",
        "_items",
        "attempt",
        "claim",
        "cpu_seconds",
        "ended",
        "exit",
        "failed",
        "first",
        "is_fork",
        "out",
        "started",
        "thread",
        "times",
    )

    def __init__(
        self,
        chunk: Chunk,
        group: ThreadGroup,
        *,
        keep_times: bool,
        is_fixed: bool,
        measures: bool = False,
    ) -> None:
        self.first: int = chunk.start
        self.attempt: int = chunk.attempt
        self._expires: tuple[int, float] | None = None  # the item in flight, and when
        self.started: float | None = None
        self.ended: float = 0.0
        self.thread: threading.Thread | None = None
        self.out: list[Any] = []
        self.failed: dict[int, BaseException] = {}
        # When each item was fetched, if that is to be known; it may be one ahead of `out`.
        self.times: list[float] | None = [] if keep_times else None
        # The processor time that the job takes, if that is to be known: negative while it runs.
        self.cpu_seconds: float | None = 0.0 if measures else None
        self._items = truncatable_items(chunk, is_fixed=is_fixed)
        self._group = group
        # Whoever acquires it decides what becomes of the job: the worker that has run it, or the
        # engine that gives up on it. It is never released.
        self.claim: threading.Lock = threading.Lock()
        self.exit: Interruptible | None = None  # made by the engine before it takes `claim`
        self.is_fork: bool = False  # whether this is a copy in a process that its task has forked

    # The worker's side

    @property
    def fatal(self) -> tuple[type[BaseException], ...]:
        """The exceptions after which nothing more is started."""
        return FATAL

    def run(self, func: Callable[[Any], Any], fail_fast: bool, keeps_locals: bool = False) -> bool:
        """Run all items; return whether the whole map should be told at once.

        Unless the job `keeps_locals`, failures let go of the variables of their frames.
        """
        self.thread = threading.current_thread()
        if self.cpu_seconds is not None:
            self.cpu_seconds = -thread_time()
        self.started = monotonic()
        outer = running.begin(self.describe)
        items = iter(self._items)
        urgent = False
        while not urgent:
            try:
                if self.times is None:
                    _run(func, items, self.out)
                else:
                    _run_items_timed(func, items, self.out, self.times.append)
                break
            except TaskEnded:
                raise
            except BaseException as error:
                self.note_failure(error, keeps_locals)
                urgent = fail_fast or isinstance(error, self.fatal)
        if self.is_fork:
            from ...worker.fork import leave_fork  # needed only by tasks that fork

            leave_fork(self.failed.get(len(self.out) - 1))
        self.ended = monotonic()
        if self.cpu_seconds is not None:
            self.cpu_seconds += thread_time()
        running.end(outer)
        # The frames of a failed task lead back to this one for as long as its exception lives;
        # from here nothing may lead to the exception, or only the garbage collector frees it.
        del self, items, outer
        return urgent

    def note_failure(self, error: BaseException, keeps_locals: bool) -> None:
        """Make the exception the outcome of the item in flight."""
        _drop_our_frames(error)
        if HAS_GIL and not keeps_locals:
            clear_locals(error, raised_again=bool(self.out) and self.out[-1] is error)
        # Before the append: whoever sees the new length must find the failure here.
        self.failed[len(self.out)] = error
        self.out.append(error)

    def end_in_fork(self) -> None:
        """In a process that the task has forked: let the copy of this worker run nothing more."""
        self.is_fork = True
        self._items.truncate(0, self.out)

    def describe(self) -> CurrentTask:
        """Describe the task in flight, for itself to see."""
        from ...worker.current_task import CurrentTask  # needed only by tasks that ask

        position, left = len(self.out), self._group.timeout
        if left is not None:
            seen, expires = self._expires or (0, (self.started or 0.0) + left)
            if seen == position:
                left = max(0.0, expires - monotonic())
        return CurrentTask(self.first + position, self.attempt, left, self.is_cancelled)

    def is_cancelled(self) -> bool:
        return self._group.closed or self.claim.locked()

    # The engine's side

    @property
    def worker(self) -> str:
        return "" if self.thread is None else self.thread.name

    def will_expire(self, position: int, at: float) -> None:
        self._expires = (position, at)

    def completed(self) -> int:
        return len(self.out)

    def truncate(self, keep: int) -> int:
        return self._items.truncate(keep, self.out)

    def peek(self, stop: int) -> Finished:
        failed = self.failed.copy()  # the worker may be adding to it
        failed = {at: failed[at] for at in failed if at < stop}
        return Finished(self.out[:stop], failed, self._times(stop, monotonic()))

    def finish(self) -> Finished:
        times = self._times(len(self.out), self.ended)
        usage = None
        if self.cpu_seconds is not None:
            from ...host.usage import Usage  # needed only where somebody wants to know

            usage = Usage(self.cpu_seconds)
        return Finished(self.out, self.failed, times, usage)

    def _times(self, stop: int, now: float) -> list[float]:
        """Return when the first `stop` items were started, and when the last of them ended."""
        if self.times is None:
            return []
        times = self.times[: stop + 1]
        return times if len(times) > stop else [*times, now]

    def abandon(self) -> bool:
        if self.thread is not None:
            self.exit = Interruptible(self.thread, self._programs())
        if not self.claim.acquire(blocking=False):
            return False
        if self.thread is not None:
            self._group.abandon(self.thread)
        return True

    def _programs(self) -> Programs | None:
        """Return what kills the programs that the item in flight has started."""
        from ...host.programs import CAN_TELL, Programs  # needed only where one is overdue

        thread, began = self.thread, self.started
        if not CAN_TELL or thread is None or thread.native_id is None or began is None:
            return None
        if self.times:
            began = self.times[-1]
        return Programs(thread.native_id, began, self._group.own_programs.get(thread, frozenset()))

    def interrupt(self) -> None:
        if self.exit is not None:
            self._group.sender.end(self.exit)

    @property
    def is_running(self) -> Callable[[], bool]:
        """The thread's method: the error that keeps it must keep neither items nor results."""
        return nothing_runs if self.thread is None else self.thread.is_alive

    def remarks(self) -> tuple[str, str]:
        return "", ""

    def stack(self) -> tuple[Frame, ...]:
        from ...worker.stacks import stack_of  # needed only where an item is overdue or slow

        return stack_of(self.thread.ident if self.thread is not None else None)


@own_frame
def _run_items(func: Callable[[Any], Any], items: Iterator[Any], out: list[Any]) -> None:
    """Run the items: the loop that all speed depends on. After a failure it is entered again."""
    try:
        for item in items:
            out.append(func(item))  # noqa: PERF401  # extend() would lose StopIteration and lock `out`
    except BaseException:
        del func, items, out  # this frame lives as long as the exception, see ThreadJob.run
        item = None
        raise


@own_frame
def _run_items_bound(func: Callable[[Any], Any], items: Iterable[Any], out: list[Any]) -> None:
    """Run the same loop on CPython 3.13 without the GIL, which looks `append` up each time."""
    append = out.append
    try:
        for item in items:
            append(func(item))
    except BaseException:
        del func, items, out, append
        item = None
        raise


_run = _run_items if HAS_GIL or sys.version_info >= (3, 14) else _run_items_bound


@own_frame
def _run_items_timed(
    func: Callable[[Any], Any],
    items: Iterable[Any],
    out: list[Any],
    note: Callable[[float], object],
) -> None:
    """Run the same loop, and note when each item is started."""
    try:
        for item in items:
            note(monotonic())
            out.append(func(item))
    except BaseException:
        del func, items, out, note
        item = None
        raise


def _drop_our_frames(error: BaseException) -> None:
    """Leave a traceback that begins in the task: our frames tell users nothing.

    Not without the GIL: there, reading the traceback of an exception object that another thread is
    raising too can crash the interpreter (seen on CPython 3.13).
    """
    if not HAS_GIL:
        return
    ours = error.__traceback__  # the frame that caught it
    loop = ours.tb_next if ours else None
    # If many tasks raise the same exception object, its traceback may be another thread's by now.
    if loop is not None and loop.tb_frame.f_code in LOOPS:
        while loop.tb_next is not None and loop.tb_frame.f_code in own_code:
            loop = loop.tb_next
        # A function written in C has no frame: then the last of ours is better than none. This way
        # of setting it also works for classes that refuse to have attributes set.
        BaseException.with_traceback(error, loop)


# The loops that call tasks. Added to when another module that has one is imported.
LOOPS: set[CodeType] = {_run_items.__code__, _run_items_timed.__code__}
