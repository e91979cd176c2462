"""What observers are told of the chunks that workers ran."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from metainformant.core.parallel.engine.announcer import Announcer
from metainformant.core.parallel.engine.assignment import Assignment
from metainformant.core.parallel.engine.backend import Finished
from metainformant.core.parallel.engine.source import Chunk
from metainformant.core.parallel.report.record import Record


class Recorder:
    """An observer that adds chunks to a record."""

    wants_chunks = True
    interval = float("inf")

    def __init__(self) -> None:
        self.record = Record(1, share_gil=False)
        self.given_up: list[float | None] = []

    def on_chunk(self, run: Any) -> None:
        self.given_up.append(run.given_up)
        self.record.chunk(
            run.worker,
            run.handed_out,
            run.started,
            run.ended,
            run.chunk.start,
            len(run.finished.values),
            run.chunk.item,
            given_up=run.given_up,
        )


@pytest.mark.parametrize(
    ("done", "stop", "given_up"),
    [(1, 7, 2.0), (2, 7, None), (1, 6, None)],
    ids=["one in flight", "all done", "the rest was taken back"],
)
def test_only_an_item_in_flight_is_given_up(done: int, stop: int, given_up: float | None) -> None:
    """The worker of a chunk may be abandoned after its last item, before it has handed it in."""
    observer: Any = Recorder()
    job: Any = SimpleNamespace(started=1.0, worker="a worker")
    assignment = Assignment(job, Chunk(["a", "b"], 5, 5, 7))
    assignment.stop, assignment.since = stop, 2.0
    announcer = Announcer([observer], 0.0, lambda: 4.0)
    announcer.ran(assignment, Finished(["value"] * done, {}), 4.0, given_up=True)
    assert observer.given_up == [given_up]
    assert observer.record.abandoned == (given_up is not None)
