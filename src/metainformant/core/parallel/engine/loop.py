"""The only loop: hand out chunks, watch the workers, deliver what they finish.

It runs in the thread that calls `run`, and that thread owns all state here. Workers are observed
and never ask: see `backend.py`. What to do is decided by the policies; this module does it.
"""

from __future__ import annotations

import math
from time import monotonic

from ..errors import ParallelError
from .announcer import Announcer
from .completion import Completion
from .dispatcher import Dispatcher
from .ending import Ending
from .policies.chunking import Chunking
from .policies.stopping import StopRule
from .policies.timeouts import Timeouts
from .supervisor import Supervisor
from .unfinished import cancelled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..auto import Auto
    from ..calls import MapCall
    from .backend import Backend, Finished, Job
    from .events import Observer
    from .outcome_batch import OutcomeBatch
    from .policies.concurrency import Concurrency
    from .policies.start_rate import Pace
    from .policies.stopping import Stop, Unfinished
    from .source import Chunk, Source

    Deliver = Callable[[OutcomeBatch], object]


class Engine:
    """One map, from its first chunk to its last outcome.

    Args:
        call: what to do.
        source: where the chunks come from.
        backend: what runs them.
        observers: who watches.
        poll_interval: seconds between two looks at which the finished part of a chunk is delivered
            before its end; None if not at all.
        max_chunk: the most items that a chunk may have.
        is_stream: whether items are read, and results dropped, as the map goes on.
        wants_times: whether batches have the times at which their items were finished.
        clock: seconds, monotonic.
        began: when the call began, from which its deadline counts; by default now.
    """

    def __init__(
        self,
        call: MapCall,
        source: Source,
        backend: Backend,
        *,
        observers: Sequence[Observer] = (),
        poll_interval: float | None = None,
        max_chunk: int | None = None,
        is_stream: bool = False,
        wants_times: bool = False,
        clock: Callable[[], float] = monotonic,
        began: float | None = None,
    ) -> None:
        options = call.options
        self._source = source
        self._backend = backend
        self._clock = clock
        self._began = began = clock() if began is None else began
        self._announcer = Announcer(observers, began, clock)
        self._rule = StopRule(options, began)
        self._completion = Completion(call, self._rule, clock)
        self._is_aborted = False  # whether nobody wants more; set by any thread, read by ours
        # Who gets back what is not started; set by any thread, taken by ours.
        self._give_back: Callable[[list[Chunk]], object] | None = None
        auto = call.workers.auto
        self._concurrency = None if auto is None else _make_concurrency(auto, began)
        self._in_use = 0  # jobs that were handed out before the last wait
        self._chunking = Chunking(
            workers=call.workers.count if auto is None else auto.start,
            chunk_size=1 if options.rate is not None else options.chunk_size,
            max_chunk=max_chunk,
            is_stream=is_stream or auto is not None,  # what a number of workers brings is seen soon
            share_gil=backend.share_gil,
            share_thread=backend.share_thread,
        )
        timeouts = Timeouts(
            options.timeout if backend.can_watch else None,
            options.slow_after if backend.can_watch else None,
            math.inf if poll_interval is None else poll_interval,
        )
        self._dispatcher = Dispatcher(
            source,
            backend,
            self._chunking,
            timeouts,
            call.workers.count,
            _make_pace(call),
            self._concurrency,
            retries=options.retries > 0,
            wants_times=wants_times or self._announcer.is_watched,
        )
        self._assignments = self._dispatcher.assignments
        self._supervisor = Supervisor(
            self._dispatcher,
            self._completion,
            self._announcer,
            self._chunking,
            timeouts,
            self._concurrency,
            clock,
            delivers_early=poll_interval is not None,
        )

    def run(self, deliver: Deliver) -> Ending:
        """Run the map; call `deliver` with outcomes as they come. If it raises, the map is aborted.

        Nothing is delivered before a round of looking is complete: time passes in `deliver`, and
        what is seen in flight after it must not be taken for something seen before.
        """
        ending: Ending | None = None
        try:
            while ending is None:
                ending = self.step(deliver)
        finally:
            ending = self.finish(ending)
        return ending

    def finish(self, ending: Ending | None) -> Ending:
        """End everything after the last step, which returned the ending, or raised something."""
        self._supervisor.leave()
        self._interrupt_abandoned()
        if ending is not None and ending.kind == "completed":
            ending = self._close(ending)
            self._end(ending)
        else:
            self.discard(ending)
        return ending or Ending("aborted")

    def discard(self, ending: Ending | None = None) -> None:
        """End everything, whether the engine runs or not."""
        self._backend.abort()
        self._end(ending)

    def _end(self, ending: Ending | None) -> None:
        broken = self._source.error  # an input that raised something seems to end
        if broken is not None and ending is not None and ending.kind == "completed":
            ending = Ending("failed", error=broken)  # for observers; who reads it raises the error
        self._announcer.end(ending)
        self._dispatcher.forget_all()
        self._rule.broken = None  # whoever raises it must be able to let go of it

    def abort(self) -> None:
        """Let the map end soon, without more outcomes. Any thread may call this."""
        self._is_aborted = True
        self._backend.wake()

    def wake(self) -> None:
        """Let the engine look again at what there is to do. Any thread may call this."""
        self._backend.wake()

    def fail(self, error: ParallelError) -> None:
        """Let the map stop soon, as it does when workers break. Any thread may call this."""
        self._rule.broken = error
        self._backend.wake()

    def recall(self, give_back: Callable[[list[Chunk]], object]) -> None:
        """Take back soon what no worker has started, and call `give_back` with it.

        Any thread may call this; `give_back` is called in the engine's thread. Outcomes are
        delivered in order as always, so those of the items that stay come later.
        """
        self._give_back = give_back
        self._backend.wake()

    def replay(self, chunk: Chunk, finished: Finished, worker: str) -> list[OutcomeBatch]:
        """Return what is to be delivered of a chunk whose outcomes an earlier run had.

        They count like those of workers, and a failure among them may end the map. Called in the
        engine's thread, or before it runs.
        """
        ready: list[OutcomeBatch] = []
        if self._completion.ending is None:
            self._completion.replayed(chunk, finished, worker, ready)
        if self._completion.ending is not None:
            self._backend.wake()  # there may be nothing else to wait for
        for batch in ready if self._announcer.is_watched else ():
            self._announcer.outcomes(batch)
        return ready

    def step(self, deliver: Deliver) -> Ending | None:
        """Hand out work, wait once, and deliver what came of it; return the ending at the last."""
        if self._completion.ending is not None:  # a failure of an earlier run has ended it
            return self._completion.ending
        now = self._clock()
        if self._give_back is not None:
            give_back, self._give_back = self._give_back, None
            give_back(self._dispatcher.recall(now))
        self._take_due(now)
        next_wakeup = self._hand_out(now)
        if self._dispatcher.exhausted is not None:
            self._rule.exhausted = self._dispatcher.exhausted
            next_wakeup = now
        if next_wakeup > now:
            self._interrupt_abandoned()  # after their places were filled
        # An input that was closed seems to end.
        if self._is_complete() and not self._is_aborted:
            self._report_progress(math.inf)
            return self._completion.ending or Ending("completed")
        self._in_use = len(self._assignments)
        ended = self._wait(self._seconds_to_wait(now, next_wakeup))
        began, now = now, self._clock()
        if self._announcer.is_watched:
            self._announcer.waited(began, now, self._dispatcher, self._completion.retries)
        ready: list[OutcomeBatch] = []
        for job in ended:
            self._supervisor.settle(self._assignments[job], now, self._in_use, ready)
        self._supervisor.look(now, ready)
        stop = self._rule.stop(now)
        self._heed_push_back(now)
        self._report_progress(now)
        for batch in ready:
            self._hand_over(batch, deliver)
        if ready and self._announcer.is_watched:
            self._announcer.delivered(now, self._clock(), self._dispatcher)
        if self._is_aborted:
            return Ending("aborted")
        ending = self._completion.ending
        if ending is None and stop is not None:
            ending = self._cancel_all(stop, deliver)
        del stop  # it may have an error, whose cause may lead to this frame
        if ending is not None:
            self._report_progress(math.inf)
        return ending

    def _hand_out(self, now: float) -> float:
        if self._rule.is_over(now):
            return now
        if self._supervisor.abandoned or self._rule.holds_back:
            self._rule.saw_stuck(self._backend.abandoned(), now)
            if self._rule.holds_back:
                return math.inf
        try:
            return self._dispatcher.hand_out(now)
        except ParallelError as error:  # there is no worker, and none can be had
            self._rule.broken = error.with_traceback(None)  # that leads to here
            return now

    def _wait(self, timeout: float | None) -> Sequence[Job]:
        """Return the jobs that ended. A fault of the workers stops the map, but loses nothing."""
        try:
            return self._backend.wait(timeout)
        except ParallelError as error:
            self._rule.broken = error.with_traceback(None)
            return ()

    def _close(self, ending: Ending) -> Ending:
        """End the workers. If one can't clean up, the run has failed, with all its outcomes."""
        try:
            self._backend.close(lambda: self._rule.is_over(self._clock()))
        except ParallelError as error:
            return Ending("failed", error=error.with_traceback(None))
        return ending

    def _is_complete(self) -> bool:
        if self._assignments or self._rule.broken is not None or self._completion.retries:
            return False
        return not self._dispatcher.has_work

    def _take_due(self, now: float) -> None:
        """Let items be tried again whose time has come, before any other."""
        retries = self._completion.retries
        if retries is not None:
            self._dispatcher.due.extend(retries.take_due(now))
            self._source.waiting(len(retries))

    # Watching

    def _seconds_to_wait(self, now: float, next_wakeup: float) -> float | None:
        """For how long to wait if nobody wakes us; None: for ever."""
        at = min(
            self._dispatcher.next_wakeup,
            self._rule.next_wakeup(now),
            next_wakeup,
            self._announcer.next_progress,
        )
        if self._completion.retries:
            at = min(at, self._completion.retries.next_due)
        return None if at == math.inf else max(0.0, at - now)

    def _interrupt_abandoned(self) -> None:
        if self._supervisor.interrupt_abandoned():
            self._rule.saw_stuck(self._backend.abandoned(), self._clock())

    def _heed_push_back(self, now: float) -> None:
        """Start nothing for as long as a service has asked for, and items one by one from then."""
        push_back = self._completion.push_back
        refused = None if push_back is None else push_back.take()
        if refused is not None:
            pause, started = refused
            self._chunking.one_by_one()
            if self._concurrency is not None:
                self._concurrency.refused(now, started, self._in_use)
            if pause > 0:
                self._dispatcher.pause(now, pause)
                self._announcer.paused(pause)
                if self._concurrency is not None:
                    self._concurrency.paused(now + pause)
        if self._concurrency is not None:
            self._announcer.changed(self._concurrency.history)

    # Telling

    def _report_progress(self, now: float) -> None:
        assignments = self._assignments.values()
        self._announcer.progress(now, self._rule, self._completion, assignments)

    def _hand_over(self, batch: OutcomeBatch, deliver: Deliver) -> None:
        """Deliver outcomes, once observers know of them."""
        if self._announcer.is_watched:
            self._announcer.outcomes(batch)
        deliver(batch)

    # Stopping

    def _cancel_all(self, stop: Stop, deliver: Deliver) -> Ending:
        """Turn everything that is not finished into `TaskCancelledError`."""
        self._source.close()
        ready: list[OutcomeBatch] = []
        unfinished = self._supervisor.give_up(ready)
        waiting = self._completion.retries.take_all() if self._completion.retries else []
        chunks = [*self._dispatcher.due, *self._dispatcher.again, *waiting]
        while (chunk := self._source.rest()) is not None:
            chunks.append(chunk)
        unfinished += [(chunk, "", ()) for chunk in chunks]
        for batch in ready:
            self._hand_over(batch, deliver)
        first: Unfinished | None = None
        for chunk, worker, times in unfinished:
            left = cancelled(chunk, stop.reason, worker, times)
            if left is None:
                continue
            if first is None or left[0].index < first.index:
                first = left[0]
            self._hand_over(left[1], deliver)
        return self._completion.ending or Ending("stopped", stop=stop, unfinished=first)


def _make_pace(call: MapCall) -> Pace | None:
    if call.options.rate is None:
        return None
    from .policies.start_rate import Pace  # needed only by those who ask for it

    return Pace(call.options.rate, call.spending)


def _make_concurrency(auto: Auto, now: float) -> Concurrency:
    from .policies.concurrency import Concurrency  # needed only by those who ask for it

    return Concurrency(auto, now)
