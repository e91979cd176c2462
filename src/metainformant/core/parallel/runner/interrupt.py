"""The results that a map of a list has when Ctrl-C ends it."""

from __future__ import annotations

from ..describe import describe
from ..errors import TaskCancelledError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..engine.source import ListSource
    from .delivery import Collector


class MapInterrupt(KeyboardInterrupt):
    """A KeyboardInterrupt that has the results of the map that it ended.

    They are put together when somebody asks for them, so that Ctrl-C gets through at once.
    """

    def __init__(
        self, caller: str, source: ListSource, collector: Collector, cause: BaseException
    ) -> None:
        super().__init__(f"{caller} was interrupted; what was finished is in `results`")
        for note in getattr(cause, "__notes__", ()):
            self.add_note(note)
        self._source = source
        self._collector = collector

    @property
    def results(self) -> list[Any]:
        """The list so far, with a TaskCancelledError for each item that has no outcome."""

        def cancelled(index: int) -> TaskCancelledError:
            item = describe(self._source.item(index))
            return TaskCancelledError(index, item, "it was interrupted", started=False)

        self._collector.fill(cancelled)
        return self._collector.results()

    def _render_traceback_(self) -> list[str]:
        """Return the lines that IPython shows, without the frames of this package."""
        return [f"KeyboardInterrupt: {self}"]
