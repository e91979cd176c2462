"""What becomes of the items that workers have finished: another attempt, or an outcome.

Owned by the thread that runs the engine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..describe import note_failure
from ..errors import TaskTimeoutError
from ..options import Plan
from .assignment import Assignment
from .backend import Finished
from .outcome_batch import OutcomeBatch
from .policies.retries import Retries
from .policies.stopping import StopRule
from .source import Chunk


class Completion:
    """Passes judgement on failures, notes and counts what is final.

    Attributes:
        retries: the items that wait for another attempt; None if there are never any.
        failure: the one that ends the map, if that has come.
    """

    def __init__(self, plan: Plan, rule: StopRule, clock: Callable[[], float]) -> None:
        self.retries = Retries(plan) if plan.retries else None
        self.failure: BaseException | None = None
        self._rule = rule
        self._clock = clock

    def overdue(self, assignment: Assignment, error: TaskTimeoutError) -> Iterator[OutcomeBatch]:
        """The piece of an item that was given up, unless it gets another attempt."""
        chunk, index, now = assignment.chunk, error.index, self._clock()
        if self._again(chunk, index, error, now):
            return
        self._rule.saw(1, 1, 1)
        if chunk.past:
            _note(chunk, index, error)
        if not self._ends_the_map(error):
            times = [now if assignment.since is None else assignment.since, now]
            yield OutcomeBatch(chunk, index, [error], {index: error}, error.worker, times)

    def batches(self, assignment: Assignment, finished: Finished) -> Iterator[OutcomeBatch]:
        """Those of the finished items that have not been delivered yet, if any.

        Items that are to be tried again are left out, so there may be several pieces.
        """
        chunk, start = assignment.chunk, assignment.delivered
        values, failed, times = finished.since(start - chunk.start)
        worker = assignment.job.worker
        final: dict[int, BaseException] = {}
        begin = 0  # position of the first value that is not in a piece yet
        for position, error in failed.items():
            index = start + position
            if self._again(chunk, index, error, self._clock()):
                if begin < position:
                    self._rule.saw(position - begin, len(final))
                    part = values[begin:position]
                    yield OutcomeBatch(chunk, start + begin, part, final, worker, times[begin:])
                begin, final = position + 1, {}
                continue
            final[index] = error
            _note(chunk, index, error)
            if self._ends_the_map(error):
                self._rule.saw(position + 1 - begin, len(final))
                return
        if begin < len(values):
            self._rule.saw(len(values) - begin, len(final))
            if begin:
                values, times = values[begin:], times[begin:]
            yield OutcomeBatch(chunk, start + begin, values, final, worker, times)

    def _again(self, chunk: Chunk, index: int, error: BaseException, now: float) -> bool:
        return self.retries is not None and self.retries.again(chunk, index, error, now)

    def _ends_the_map(self, error: BaseException) -> bool:
        if not self._rule.is_final(error):
            return False
        if self.failure is None:
            self.failure = error
        return True


def _note(chunk: Chunk, index: int, error: BaseException) -> None:
    note_failure(error, index, chunk.item(index), chunk.attempt, chunk.past)
