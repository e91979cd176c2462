"""The decision about finished items: another attempt, or an outcome.

Owned by the thread that runs the engine.
"""

from __future__ import annotations

import math
from types import CoroutineType

from ..errors import TaskTimeoutError
from ..functions import fail_coroutines
from .ending import Ending
from .outcome_batch import OutcomeBatch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ..calls import MapCall
    from .assignment import Assignment
    from .backend import Finished
    from .policies.push_back import PushBack
    from .policies.retries import Retries
    from .policies.stopping import StopRule
    from .source import Chunk


class Completion:
    """The step from finished items to outcome batches: decides about failures, counts outcomes.

    Attributes:
        retries: the items that wait for another attempt; None if there were never any.
        push_back: the refusals of services; None if there were none.
        ending: that of a run that a failure ends; None as long as none has.
    """

    def __init__(self, call: MapCall, rule: StopRule, clock: Callable[[], float]) -> None:
        self.retries: Retries | None = None
        self.push_back: PushBack | None = None
        self._call = call
        self.ending: Ending | None = None
        self._rule = rule
        self._clock = clock

    def overdue(
        self, assignment: Assignment, error: TaskTimeoutError, ready: list[OutcomeBatch]
    ) -> None:
        """Add to `ready` the failure of an abandoned item, unless it gets another attempt."""
        chunk, index, now = assignment.chunk, error.index, self._clock()
        began = now if assignment.since is None else assignment.since
        if self._is_retried(chunk, index, error, began):
            return
        self._rule.saw(1, 1, 1)
        if not self._ends_the_map(chunk, index, error):
            times = [began, now]
            batch = OutcomeBatch(
                chunk, index, [error], {index: error}, error.worker, times, names_items=True
            )
            ready.append(batch)

    def finished(
        self, assignment: Assignment, finished: Finished, ready: list[OutcomeBatch]
    ) -> None:
        """Add to `ready` the finished items that have not been delivered yet, if any.

        Items that get another attempt are left out, so there may be several batches.
        """
        chunk, start = assignment.chunk, assignment.delivered
        if not finished.times:
            end = assignment.job.ended or self._clock()
            finished.times = assignment.sampled_times(len(finished.values), end)
        part = finished.since(start - chunk.start)
        # A function that returns a coroutine returns one each time.
        if part.values and type(part.values[0]) is CoroutineType:
            fail_coroutines(self._call.func, part.values, part.failed)
        self._decide(chunk, start, part, assignment.job.worker, ready, began=assignment.job.started)

    def replayed(
        self, chunk: Chunk, finished: Finished, worker: str, ready: list[OutcomeBatch]
    ) -> None:
        """Add to `ready` the outcomes that an earlier run had for a chunk; none is retried."""
        self._decide(chunk, chunk.start, finished, worker, ready, is_recorded=True)

    def _decide(
        self,
        chunk: Chunk,
        start: int,
        finished: Finished,
        worker: str,
        ready: list[OutcomeBatch],
        *,
        began: float | None = None,
        is_recorded: bool = False,
    ) -> None:
        values, failed, times = finished.values, finished.failed, finished.times
        final: dict[int, BaseException] = {}
        begin = 0  # position of the first value that is not in a batch yet

        def add(stop: int) -> None:
            if begin < stop:
                self._rule.saw(stop - begin, len(final), _timeouts(final))
                part = values if stop - begin == len(values) else values[begin:stop]
                spent = times[begin : stop + 1]
                first = start + begin
                batch = OutcomeBatch(
                    chunk, first, part, final, worker, spent, is_recorded=is_recorded
                )
                ready.append(batch)

        for position, error in failed.items():
            index = start + position
            # When it was started is known, or else when its chunk was.
            started = times[position] if times else -math.inf if began is None else began
            if not is_recorded and self._is_retried(chunk, index, error, started):
                add(position)
                begin, final = position + 1, {}
            elif self._ends_the_map(chunk, index, error):
                add(position)
                self._rule.saw(1, 1)
                return
            else:
                final[index] = error
        add(len(values))

    def _is_retried(self, chunk: Chunk, index: int, error: BaseException, started: float) -> bool:
        """Return whether an item that failed, or was refused, gets another attempt."""
        options, now = self._call.options, self._clock()
        if options.may_be_throttled(error):
            push_back = self._push_back()
            if push_back.is_refusal(error):
                pause = push_back.refused(error, started)
                if chunk.throttled >= push_back.tries:
                    return False
                self._retries().after_refusal(chunk, index, error, now, pause)
                return True
        return options.retries > 0 and self._retries().again(chunk, index, error, now)

    @property
    def refused(self) -> int:
        """The number of attempts that services have refused."""
        return 0 if self.push_back is None else self.push_back.count

    # What only those need who have failures.

    def _retries(self) -> Retries:
        if self.retries is None:
            from .policies.retries import Retries

            self.retries = Retries(self._call)
        return self.retries

    def _push_back(self) -> PushBack:
        if self.push_back is None:
            from .policies.push_back import PushBack

            self.push_back = PushBack(self._call.options)
        return self.push_back

    def _ends_the_map(self, chunk: Chunk, index: int, error: BaseException) -> bool:
        if not self._rule.is_final(error):
            return False
        if self.ending is None:
            self.ending = Ending("failed", error=error, chunk=chunk, index=index)
        return True


def _timeouts(failed: dict[int, BaseException]) -> int:
    """Count the failures that were noted where the items ran: those of their own map."""
    return sum(
        isinstance(error, TaskTimeoutError) and error.index == index
        for index, error in failed.items()
    )
