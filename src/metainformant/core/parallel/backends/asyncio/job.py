"""A chunk that a task of an event loop runs, and what can be seen of it from outside."""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from itertools import islice
from time import monotonic

from ...engine.backend import nothing_runs
from ...worker import running
from ...worker.fork import leave_fork
from ...worker.frames import own_code, own_frame
from ..threads.job import LOOPS, ThreadJob
from .worker import forget_cancelling, is_alive

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from ...errors import Frame
    from .worker import Worker
    from .worker_loop import WorkerLoop

# After so many items of a job a worker looks whether others should have their turn.
_TURN_ITEMS = 64


class CoroutineJob(ThreadJob):
    """A chunk of a function that is awaited. Its worker is a task instead of a thread."""

    __slots__ = ("_what_kept_it", "runner")

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.runner: Worker | None = None
        # What else has kept the item in flight, in words; owned by the engine.
        self._what_kept_it = ""

    # The worker's side

    @own_frame
    async def run_in(
        self, runner: Worker, func: Callable[[Any], Any], fail_fast: bool, keeps_locals: bool
    ) -> bool:
        """Run all items; return whether the whole map should be told at once. See `run`."""
        self.runner, runner.job = runner, self
        self.started: float | None = monotonic()
        outer = running.begin(self.describe)
        items = iter(self._items)
        urgent = False
        while not urgent:
            try:
                if self.times is None:
                    await _run_coroutines(func, items, self.out, runner.loop)
                else:
                    note = self.times.append
                    await _run_coroutines_timed(func, items, self.out, runner.loop, note)
                break
            except BaseException as error:
                if self.is_fork:
                    leave_fork(error)
                if not _is_current(runner.task):
                    raise  # its loop was closed under it, and now it is freed
                if runner.is_abandoned or self.claim.locked():
                    break  # it was cancelled, and nobody asks what came of it
                forget_cancelling()  # the item alone is cancelled, which ended by it
                self.note_failure(error, keeps_locals)
                urgent = fail_fast or isinstance(error, self.fatal)
        if self.is_fork:
            leave_fork()
        self.ended: float = monotonic()
        runner.job = None
        running.end(outer)
        del self, items, outer, runner  # see ThreadJob.run
        return urgent

    def end_in_fork(self) -> None:
        super().end_in_fork()
        # Nor may the copies of other calls go on, should it wait for something.
        if self.runner is not None:
            with contextlib.suppress(RuntimeError):  # asyncio looks who calls, in its debug mode
                self.runner.loop.loop.call_soon(leave_fork)

    # The engine's side

    @property
    def worker(self) -> str:
        return "" if self.runner is None else self.runner.name

    def abandon(self) -> bool:
        if not self.claim.acquire(blocking=False):
            return False
        runner = self.runner
        if runner is not None:
            runner.loop.abandon(runner)
            self._group.abandon(runner)
            if runner.loop.is_blocked():
                self._what_kept_it = _blocked_by(runner, runner.loop.blocking())
                runner.loop.give_up(self._group.threads)
        return True

    def interrupt(self) -> None:
        if self.runner is not None:
            self.runner.loop.cancel(self.runner)

    @property
    def is_running(self) -> Callable[[], bool]:
        """A function of the task alone: the error must keep neither items nor results."""
        runner = self.runner
        return nothing_runs if runner is None else partial(is_alive, runner.task, runner.loop.loop)

    def remarks(self) -> tuple[str, str]:
        if self._what_kept_it:
            return self._what_kept_it, "It ends as soon as the loop goes on."
        return "", (
            "It is being cancelled: it ends once it lets the CancelledError through, and its "
            "clean-up is done."
        )

    def stack(self) -> tuple[Frame, ...]:
        from ...host.gil import HAS_GIL
        from ...worker.stacks import stack_of

        runner = self.runner
        coroutine: Any = None if runner is None else runner.coroutine
        if runner is None or coroutine is None or not HAS_GIL:
            return ()
        if coroutine.cr_running:
            return stack_of(runner.loop.ident)
        return _awaited_by(coroutine)


def _is_current(task: asyncio.Task[None] | None) -> bool:
    """Return whether this code is run by the loop of a task."""
    try:
        return asyncio.current_task() is task
    except RuntimeError:  # there is no loop that runs
        return False


def _blocked_by(runner: Worker, blocking: Worker | None) -> str:
    """Say what blocks the event loop, to the one that does or to one that suffers."""
    if blocking is runner:
        return (
            "It blocks the event loop, in which no other call gets on: await something, or put "
            "what blocks into a thread by asyncio.to_thread."
        )
    job = None if blocking is None else blocking.job
    if job is None:
        return "Something blocks the event loop, so this call could not get on."
    return f"Item {job.first + len(job.out)} blocks the event loop, so this call could not get on."


def _awaited_by(coroutine: Any) -> tuple[Frame, ...]:
    """Return where a coroutine waits, outermost call first, without the frames of ours."""
    stack: list[Frame] = []
    while coroutine is not None:
        for prefix in ("cr", "gi", "ag"):
            frame = getattr(coroutine, f"{prefix}_frame", None)
            if frame is not None:
                if frame.f_code not in own_code:
                    code = frame.f_code
                    stack.append((code.co_filename, frame.f_lineno, code.co_name))
                awaited = "gi_yieldfrom" if prefix == "gi" else f"{prefix}_await"
                coroutine = getattr(coroutine, awaited)
                break
        else:
            break
    return tuple(stack)


@own_frame
async def _run_coroutines(
    func: Callable[[Any], Any], items: Iterator[Any], out: list[Any], loop: WorkerLoop
) -> None:
    """Run the items: the loop that all speed depends on. After a failure it is entered again.

    A slice fetches an item only when it is asked for it, so what `items.py` says holds here too.
    Others have their turn once there is another item to run, and never after the last one: if one
    of them blocked the loop, a job whose items are all done would be handed in no more.
    """
    try:
        stop = 0
        while len(out) >= stop:
            stop = len(out) + _TURN_ITEMS + 1
            for item in islice(items, _TURN_ITEMS):
                out.append(await func(item))  # noqa: PERF401  # see `_run_items`
            for item in islice(items, 1):
                if monotonic() > loop.turn_ends:
                    await loop.take_turns()
                out.append(await func(item))
    except BaseException:
        del func, items, out, loop  # see ThreadJob.run
        item = None
        raise


@own_frame
async def _run_coroutines_timed(
    func: Callable[[Any], Any],
    items: Iterator[Any],
    out: list[Any],
    loop: WorkerLoop,
    note: Callable[[float], object],
) -> None:
    """Run the same loop, and note when each item is started."""
    try:
        stop = 0
        while len(out) >= stop:
            stop = len(out) + _TURN_ITEMS + 1
            for item in islice(items, _TURN_ITEMS):
                note(monotonic())
                out.append(await func(item))
            for item in islice(items, 1):
                if monotonic() > loop.turn_ends:
                    await loop.take_turns()
                note(monotonic())
                out.append(await func(item))
    except BaseException:
        del func, items, out, loop, note
        item = None
        raise


LOOPS.update({_run_coroutines.__code__, _run_coroutines_timed.__code__})
