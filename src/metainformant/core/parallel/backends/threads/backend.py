"""Workers that are threads of this process.

They are daemon threads: a stuck one delays neither the return of the map nor the exit of the
interpreter. Each belongs to one map; none is shared or kept.
"""

from __future__ import annotations

import contextvars
import itertools
import queue
import threading
from collections import deque

from ...engine.event_queue import taken
from ...errors import FATAL, ParallelError
from ...host.gil import HAS_GIL
from ...host.threads import DAEMON, forget_dangling, launch
from ...worker.interrupt import TaskEnded, prepare_wakes
from .job import ThreadJob
from .thread_group import ThreadGroup

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ...calls import MapCall
    from ...engine.source import Chunk
    from .thread_group import Worker

# Seconds between two looks, while workers end, at whether the map has taken long enough.
_LAST_TICK = 0.05


class ThreadBackend:
    """Threads that take jobs from one queue, each until it is told to end.

    Args:
        call: what to do.
        eager: whether `wait` returns whenever a job ends.
        keep_times: whether all jobs note when each item was started.
        is_stream: whether the lists that chunks are parts of may still grow.
        fails_fast: whether a worker ends its job at a failure; by default, as the call says.
    """

    max_chunk: int | None = None
    has_queue = True
    can_watch = True
    share_gil = HAS_GIL
    share_thread = False
    truncates_late = False
    capacity: int | None = None
    _job_class: type[ThreadJob] = ThreadJob

    def __init__(
        self,
        call: MapCall,
        *,
        eager: bool = False,
        keep_times: bool = False,
        is_stream: bool = False,
        fails_fast: bool | None = None,
    ) -> None:
        self._label = call.caller
        self._preparation = call.options.preparation
        self._func = call.func
        self._fail_fast = call.options.fails_fast if fails_fast is None else fails_fast
        self._may_be_throttled = call.options.may_be_throttled
        # Who is given failures one by one, as values, has no use for the variables of their frames.
        self._keeps_locals = call.options.keep_locals or call.options.on_error == "raise"
        self._eager = eager
        self._keep_times = keep_times
        self._measures = call.options.is_reported
        self._is_stream = is_stream
        prepare_wakes()
        self._context = contextvars.copy_context()  # tasks see what the caller sees
        # Owned by the engine's thread, as is the next one.
        self._numbers = itertools.count(1)
        self._group = ThreadGroup(call.options.timeout)
        # Shared by all threads; every operation on them is atomic. The engine adds to `_ready` and
        # waits for `_events`, the workers do the reverse. Before an event comes the job that it
        # tells of, in `_ended`. An event is an error only if a worker broke down.
        self._ready: queue.SimpleQueue[ThreadJob | None] = queue.SimpleQueue()  # None: a reminder
        self._ended: deque[ThreadJob] = deque()
        # Whether the engine takes nothing more from there, set by it; what is left there would keep
        # failures, whose frames lead to here, for the garbage collector.
        self._is_over = False
        self._left: deque[Worker] = deque()  # the same for workers that end
        self._events: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()

    def spawn(self) -> None:
        name = f"{self._label}-{next(self._numbers)}"
        # A context can be entered by one thread at a time, hence the copies.
        run = self._context.copy().run
        thread = threading.Thread(target=run, args=(self._work,), name=name, daemon=DAEMON)
        self._group.threads.add(thread)  # before the start, so that an interrupt can't lose it
        try:
            launch(thread, self._label)
        except ParallelError:
            self._group.threads.discard(thread)
            raise

    def submit(self, chunk: Chunk, *, keep_times: bool = False) -> ThreadJob:
        self._group.parting = False
        keep_times = keep_times or self._keep_times
        job = self._job_class(
            chunk,
            self._group,
            keep_times=keep_times,
            is_fixed=not self._is_stream,
            measures=self._measures,
        )
        self._ready.put(job)
        return job

    def queued(self) -> int:
        return self._ready.qsize()

    def remind(self) -> None:
        self._ready.put(None)

    def wait(self, timeout: float | None) -> list[ThreadJob]:
        # The frame of an error that this raises must have no variable that leads to the error.
        for _ in map(self._tell, taken(self._events, timeout)):
            pass
        while self._left:
            self._group.remove(self._left.popleft())
        ended = []
        while self._ended:
            ended.append(self._ended.popleft())
        return ended

    def wake(self) -> None:
        self._events.put(None)

    def workers(self) -> int:
        return len(self._group.threads)

    def abandoned(self) -> int:
        return self._group.abandoned()

    def dismiss(self) -> None:
        if not self._group.parting:
            self._group.parting = True
            for _ in self._group.threads:
                self._ready.put(None)  # wakes those that wait

    def close(self, is_over: Callable[[], bool]) -> None:
        self._close(is_over)

    def abort(self) -> None:
        self._close(None)

    def _close(self, is_over: Callable[[], bool] | None) -> None:
        group = self._group
        group.closed = self._is_over = True
        self._ended.clear()
        for _ in group.threads:
            self._ready.put(None)
        if is_over is not None:
            self._await_workers(is_over)
            while not self._events.empty():  # one may have failed to close its state
                self._tell(self._events.get())

    def _await_workers(self, is_over: Callable[[], bool]) -> None:
        """Wait until all have ended, or until the map is over: a state may not close."""
        for thread in (*self._group.threads, *self._group.gone):
            while thread.is_alive():
                if is_over():
                    return
                thread.join(_LAST_TICK)

    def _tell(self, crash: BaseException | None) -> None:
        """Raise what broke a worker, if this is such an event. An exit stays one."""
        if crash is None:
            return
        try:
            if isinstance(crash, (ParallelError, *FATAL)):
                raise crash
            raise ParallelError(f"a worker of {self._label} broke down") from crash
        finally:
            del crash  # its traceback leads to this frame: leave no cycle

    # The worker's side

    def _work(self) -> None:
        """Run jobs until there are no more. What fails here is ours: the engine must hear of it."""
        try:
            with self._preparation.performed() as bind:
                func = bind(self._func)
                if self._preparation.is_needed:
                    self._note_own_programs()
                while self._work_once(func):
                    pass
        except TaskEnded:  # this worker's last call was abandoned and could be ended
            return
        except BaseException as error:
            self._report(error)
        finally:
            forget_dangling(threading.current_thread())

    def _report(self, error: BaseException) -> None:
        """Let the engine hear of what broke a worker, which has just caught it."""
        frames = error.__traceback__  # but not that one, which leads back to the error
        self._events.put(error.with_traceback(frames.tb_next if frames else None))

    def _work_once(self, func: Callable[[Any], Any]) -> bool:
        """Take the next job or reminder; return False to end."""
        try:
            job = self._ready.get_nowait()
        except queue.Empty:
            parting = self._group.parting
            if parting:
                self._left.append(threading.current_thread())
            self._events.put(None)
            if parting:
                return False
            job = self._ready.get()
        if self._group.closed:
            return False
        if job is None:
            self._events.put(None)
            return True
        try:
            urgent = job.run(func, self._fail_fast, self._keeps_locals)
            ours = self._hand_in(job, urgent)
            if not ours and job.exit is not None:
                job.exit.settle()
        except TaskEnded:
            if job.exit is not None:
                job.exit.is_over = True  # no other exception may come
            raise
        del job  # see ThreadJob.run
        return ours

    def _hand_in(self, job: ThreadJob, urgent: bool) -> bool:
        """Give a job that was run to the engine; return False if that has abandoned its worker."""
        if not job.claim.acquire(blocking=False):
            return False
        if urgent and not self._may_be_throttled(job.failed[len(job.out) - 1]):
            self._group.closed = True  # nobody starts anything before the engine knows
        self._ended.append(job)
        if self._is_over:
            self._ended.clear()
        if urgent or self._eager or job.failed:  # it may be that a service refuses calls
            self._events.put(None)
        return True

    def _note_own_programs(self) -> None:
        """Note which programs the worker's state has: they are not its tasks'."""
        from ...host.programs import started_by  # needed only where there is a state

        thread = threading.current_thread()
        if thread.native_id is not None:
            self._group.own_programs[thread] = started_by(thread.native_id)
