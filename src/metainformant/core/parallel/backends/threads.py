"""Workers that are threads of this process.

They are daemon threads: a stuck one delays neither the return of the map nor the exit of the
interpreter. Each belongs to one map; none is shared or kept.
"""

from __future__ import annotations

import contextvars
import itertools
import math
import queue
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from time import monotonic
from types import CodeType, FrameType
from typing import Any

from ..backend import Finished
from ..errors import FATAL, Frame, ParallelError
from ..task import CurrentTask, set_current
from .interrupt import Interruptible, Sender, TaskEnded
from .tape import Tape, gil_enabled

# Ctrl-C may have to get through between two waits: on Windows a wait for a lock can't be
# interrupted, and elsewhere a signal that comes just before the wait does not end it.
_LONGEST_WAIT = 0.1


class Crew:
    """The threads of one map, as its jobs need to know them.

    Owned by the engine's thread, but for what is said below.
    """

    def __init__(self, timeout: float | None) -> None:
        self.timeout = timeout
        self.threads: set[threading.Thread] = set()  # those that the map still counts on
        self.gone: list[threading.Thread] = []  # those that have ended, or are just about to
        # Whether workers end when they find nothing to do. Read by workers.
        self.parting = False
        # Whether the map is over: no job may be started. Set by the engine's thread, or by a worker
        # whose job ended the map; never reset; read by all.
        self.closed = False
        self.sender = Sender()
        self._given_up: list[threading.Thread] = []

    def lost(self, thread: threading.Thread) -> None:
        self.threads.discard(thread)
        self._given_up.append(thread)

    def left(self, thread: threading.Thread) -> None:
        self.threads.discard(thread)
        self.gone.append(thread)

    def stuck(self) -> int:
        self._given_up = [thread for thread in self._given_up if thread.is_alive()]
        return len(self._given_up)


class ThreadJob:
    """A chunk in the hands of the thread backend.

    The worker that runs it writes all attributes, and the engine's thread reads them: `started`,
    `thread`, the length of `out` and what is below that length at any time, the rest once the job
    has ended. The queues between the two threads order everything else.
    """

    __slots__ = (
        "_crew",
        "_tape",
        "attempt",
        "ended",
        "exit",
        "expires",
        "failed",
        "fate",
        "first",
        "out",
        "started",
        "thread",
    )

    def __init__(self, items: list[Any], first: int, attempt: int, crew: Crew) -> None:
        self.first = first
        self.attempt = attempt
        self.expires: tuple[int, float] | None = None
        self.started: float | None = None
        self.ended = 0.0
        self.thread: threading.Thread | None = None
        self.out: list[Any] = []
        self.failed: dict[int, BaseException] = {}
        self._tape = Tape(items)
        self._crew = crew
        # Whoever acquires it decides what becomes of the job: the worker that has run it, or the
        # engine that gives up on it. It is never released.
        self.fate = threading.Lock()
        self.exit: Interruptible | None = None  # made by the engine before it takes `fate`

    # The worker's side

    def run(self, func: Callable[[Any], Any], fail_fast: bool) -> bool:
        """Run all items; return whether the whole map should be told at once."""
        self.thread = threading.current_thread()
        self.started = monotonic()
        set_current(self.describe)
        tape = iter(self._tape)
        urgent = False
        while not urgent:
            try:
                _run_items(func, tape, self.out)
                break
            except TaskEnded:
                raise
            except BaseException as error:
                _drop_our_frames(error)
                # Before the append: whoever sees the new length must find the failure here.
                self.failed[len(self.out)] = error
                self.out.append(error)
                urgent = fail_fast or isinstance(error, FATAL)
        self.ended = monotonic()
        set_current(None)
        # The frames of a failed task lead back to this one for as long as its exception lives;
        # from here nothing may lead to the exception, or only the garbage collector frees it.
        del self, tape
        return urgent

    def describe(self) -> CurrentTask:
        """The task in flight, for itself to see."""
        position, left = len(self.out), self._crew.timeout
        if left is not None:
            seen, expires = self.expires or (0, (self.started or 0.0) + left)
            if seen == position:
                left = max(0.0, expires - monotonic())
        return CurrentTask(self.first + position, self.attempt, left, self.is_cancelled)

    def is_cancelled(self) -> bool:
        return self._crew.closed or self.fate.locked()

    # The engine's side

    @property
    def worker(self) -> str:
        return "" if self.thread is None else self.thread.name

    def done(self) -> int:
        return len(self.out)

    def cut(self, keep: int) -> int:
        self._tape.cut(keep)
        done = len(self.out)  # must be read after the cut, see tape.py
        return keep if done < keep else done + 1

    def peek(self, stop: int) -> Finished:
        failed = self.failed.copy()  # the worker may be adding to it
        return Finished(self.out[:stop], {at: failed[at] for at in failed if at < stop})

    def finish(self) -> Finished:
        return Finished(self.out, self.failed)

    def give_up(self) -> bool:
        if self.thread is not None:
            self.exit = Interruptible(self.thread)
        if not self.fate.acquire(blocking=False):
            return False
        if self.thread is not None:
            self._crew.lost(self.thread)
        return True

    def interrupt(self) -> None:
        if self.exit is not None:
            self._crew.sender.end(self.exit)

    def is_running(self) -> bool:
        return self.thread is not None and self.thread.is_alive()

    def stack(self) -> tuple[Frame, ...]:
        return _stack_of(self.thread.ident) if self.thread is not None else ()


def _run_items(func: Callable[[Any], Any], tape: Iterator[Any], out: list[Any]) -> None:
    """The loop that all speed depends on. After a failure it is entered again, on the same tape."""
    try:
        for item in tape:
            out.append(func(item))  # noqa: PERF401  # extend() would lose StopIteration and lock `out`
    except BaseException:
        del func, tape, out  # this frame lives as long as the exception, see ThreadJob.run
        item = None
        raise


def _drop_our_frames(error: BaseException) -> None:
    """Leave a traceback that begins in the task: our frames tell users nothing.

    Not without the GIL: there, reading the traceback of an exception object that another thread is
    raising too can crash the interpreter (seen on CPython 3.13).
    """
    if not gil_enabled():
        return
    ours = error.__traceback__  # the frame that caught it
    loop = ours.tb_next if ours else None
    # If many tasks raise the same exception object, its traceback may be another thread's by now.
    if loop is not None and loop.tb_frame.f_code is _LOOP:
        # A function written in C has no frame: then the loop's is better than none. This way of
        # setting it also works for classes that refuse to have attributes set.
        BaseException.with_traceback(error, loop.tb_next or loop)


_LOOP: CodeType = _run_items.__code__


def _stack_of(ident: int | None) -> tuple[Frame, ...]:
    """The stack of another thread's task, outermost call first."""
    if ident is None or not gil_enabled():
        return ()  # without the GIL the frames of a running thread can't be read safely
    frame: FrameType | None = sys._current_frames().get(ident)
    stack: list[Frame] = []
    while frame is not None and frame.f_code is not _LOOP:
        stack.append((frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name))
        frame = frame.f_back
    return tuple(reversed(stack)) if frame is not None else ()


class ThreadBackend:
    """Threads that take jobs from one queue, each until it is told to end.

    Args:
        label: how the threads are named, for example "thread_map".
        func: what is called with each item.
        fail_fast: whether a job ends with its first failure, and `wait` returns then.
        eager: whether `wait` returns whenever a job ends.
    """

    def __init__(
        self,
        label: str,
        func: Callable[[Any], Any],
        *,
        timeout: float | None = None,
        fail_fast: bool = False,
        eager: bool = False,
    ) -> None:
        self._label = label
        self._func = func
        self._fail_fast = fail_fast
        self._eager = eager
        self._context = contextvars.copy_context()  # tasks see what the caller sees
        self._numbers = itertools.count(1)  # owned by the engine's thread
        self._crew = Crew(timeout)
        # Shared by all threads; every operation on them is atomic. The engine adds to `_ready` and
        # waits for `_events`, the workers do the reverse. Before an event comes the job that it
        # tells of, in `_ended`. An event is an error only if a worker broke down.
        self._ready: queue.SimpleQueue[ThreadJob | None] = queue.SimpleQueue()  # None: a reminder
        self._ended: deque[ThreadJob] = deque()
        self._left: deque[threading.Thread] = deque()  # the same for workers that end
        self._events: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()

    def spawn(self) -> None:
        if sys.is_finalizing():  # a thread would never get to run, and its start would hang
            raise ParallelError(f"{self._label} can't start a thread while the interpreter exits")
        name = f"{self._label}-{next(self._numbers)}"
        # A context can be entered by one thread at a time, hence the copies.
        run = self._context.copy().run
        thread = threading.Thread(target=run, args=(self._work,), name=name, daemon=True)
        self._crew.threads.add(thread)  # before the start, so that an interrupt can't lose it
        try:
            thread.start()
        except RuntimeError as error:
            self._crew.threads.discard(thread)
            raise ParallelError(f"{self._label} can't start another thread: {error}") from error

    def submit(self, items: list[Any], first: int, attempt: int) -> ThreadJob:
        self._crew.parting = False
        job = ThreadJob(items, first, attempt, self._crew)
        self._ready.put(job)
        return job

    def queued(self) -> int:
        return self._ready.qsize()

    def remind(self) -> None:
        self._ready.put(None)

    def wait(self, timeout: float | None) -> list[ThreadJob]:
        longest = min(_LONGEST_WAIT, math.inf if timeout is None else timeout)
        try:
            while True:
                crash = self._events.get(longest > 0, longest)
                if crash is not None:
                    raise ParallelError(f"a worker of {self._label} broke down") from crash
                longest = 0
        except queue.Empty:
            pass
        while self._left:
            self._crew.left(self._left.popleft())
        ended = []
        while self._ended:
            ended.append(self._ended.popleft())
        return ended

    def wake(self) -> None:
        self._events.put(None)

    def workers(self) -> int:
        return len(self._crew.threads)

    def stuck(self) -> int:
        return self._crew.stuck()

    def dismiss(self) -> None:
        if not self._crew.parting:
            self._crew.parting = True
            for _ in self._crew.threads:
                self._ready.put(None)  # wakes those that wait

    def close(self, graceful: bool) -> None:
        crew = self._crew
        crew.closed = True
        for _ in crew.threads:
            self._ready.put(None)
        if graceful:
            for thread in (*crew.threads, *crew.gone):
                thread.join()

    # The worker's side

    def _work(self) -> None:
        """Run jobs until there are no more. What fails here is ours: the engine must hear of it."""
        try:
            while self._work_once():
                pass
        except TaskEnded:  # this worker's last call was given up and could be ended
            return
        except BaseException as error:
            self._events.put(error)

    def _work_once(self) -> bool:
        """Take the next job or reminder; return False to end."""
        try:
            job = self._ready.get_nowait()
        except queue.Empty:
            parting = self._crew.parting
            if parting:
                self._left.append(threading.current_thread())
            self._events.put(None)
            if parting:
                return False
            job = self._ready.get()
        if self._crew.closed:
            return False
        if job is None:
            self._events.put(None)
            return True
        urgent = job.run(self._func, self._fail_fast)
        ours = job.fate.acquire(blocking=False)  # else the engine has given up on this worker
        if ours:
            if urgent:
                self._crew.closed = True  # nobody starts anything before the engine knows
            self._ended.append(job)
            if urgent or self._eager:
                self._events.put(None)
        elif job.exit is not None:
            job.exit.leave()
        del job  # see ThreadJob.run
        return ours
