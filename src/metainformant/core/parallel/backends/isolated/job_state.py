"""The states of a job, and the ways from one to the next."""

from __future__ import annotations

import enum


class JobState(enum.IntEnum):  # whose members are fast to look up
    """The states in the life of a job: see the picture in README.md."""

    QUEUED = enum.auto()  # waits for a worker
    SENT = enum.auto()  # a worker has it, and has not been seen to begin
    RUNNING = enum.auto()  # a worker was seen to have read its items
    ENDED = enum.auto()  # all outcomes that there will be are known
    ABANDONED = enum.auto()  # the engine has abandoned it, and a worker still has it
    DROPPED = enum.auto()  # the engine has abandoned it, and no worker has it

    def to(self, state: JobState) -> JobState:
        """Return the next state, which must be one that can follow."""
        assert state in _NEXT[self], f"a job can't go from {self.name} to {state.name}"  # noqa: S101
        return state


_NEXT: dict[JobState, frozenset[JobState]] = {
    # ENDED: all of its items were taken back.
    JobState.QUEUED: frozenset({JobState.SENT, JobState.ENDED, JobState.DROPPED}),
    # QUEUED: its worker could not begin. ENDED without RUNNING: nobody looked in between.
    JobState.SENT: frozenset(
        {JobState.RUNNING, JobState.QUEUED, JobState.ENDED, JobState.ABANDONED}
    ),
    JobState.RUNNING: frozenset({JobState.ENDED, JobState.ABANDONED}),
    JobState.ABANDONED: frozenset({JobState.DROPPED}),
    JobState.ENDED: frozenset(),
    JobState.DROPPED: frozenset(),
}
