"""A stream without threads: whoever asks for the next result runs the tasks until there is one."""

from __future__ import annotations

import threading
from collections import deque

from ..engine.direct_source import DirectSource
from .stream_map import End, Stream

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterable
    from typing import Any

    from ..engine.ending import Ending
    from ..engine.outcome_batch import OutcomeBatch


class SerialStream(Stream):
    """One lazy map, which runs in the thread of its consumer."""

    runs_here = True

    def _make_source(self, items: Iterable[Any], buffer_size: int | None) -> DirectSource:
        return DirectSource(items, buffer_size)

    def batches(self) -> Generator[OutcomeBatch, None, None]:
        received: deque[OutcomeBatch] = deque()  # filled by the writer of a checkpoint, too
        try:
            recorder, engine = self.make_engine(received.append)
            ending: Ending | None = None
            try:
                record = recorder.begin(engine)
                try:
                    while ending is None:
                        self._consumer = threading.get_ident()
                        ending = engine.step(record)
                        while received:
                            yield from self.take(received.popleft())
                finally:
                    ending = engine.finish(ending)
            except BaseException as error:
                recorder.fail(error)
                raise
            ending = recorder.finish(ending)
            while received:
                yield from self.take(received.popleft())
            self.finish(End(ending, None))
        finally:
            self.abort()

    def join(self) -> None:
        """Do nothing: there is nobody to wait for."""
