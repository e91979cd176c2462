"""The results that a map of a list has when Ctrl-C ends it."""

from __future__ import annotations

from collections import UserList

from ..describe import describe
from ..errors import TaskCancelledError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from ..engine.source import ListSource
    from .delivery import Collector


def with_results(
    caller: str, source: ListSource, collector: Collector, cause: BaseException
) -> KeyboardInterrupt:
    """Return a KeyboardInterrupt that has the results of the map that it ended.

    These are the list so far, with a TaskCancelledError for each item that has no outcome.

    It is of no class of its own: Python lets the signal end a process, as shells with a loop want
    to see it, only where KeyboardInterrupt itself was not caught.
    """
    interrupt = KeyboardInterrupt(f"{caller} was interrupted; what was finished is in `results`")
    for note in getattr(cause, "__notes__", ()):
        interrupt.add_note(note)

    def results() -> list[Any]:
        collector.fill(cancelled)
        return collector.results()

    def cancelled(index: int) -> TaskCancelledError:
        item = describe(source.item(index))
        return TaskCancelledError(index, item, "it was interrupted", started=False)

    # The lines that IPython shows, without the frames of this package.
    lines = [f"KeyboardInterrupt: {interrupt}"]
    vars(interrupt).update(results=_LazyList(make=results), _render_traceback_=lambda: lines)
    return interrupt


class _LazyList(UserList["Any"]):
    """A list that is made when somebody looks into it, so that Ctrl-C gets through at once."""

    def __init__(
        self, values: Iterable[Any] = (), make: Callable[[], list[Any]] | None = None
    ) -> None:
        if make is None:
            self.data = list(values)
        else:
            self._make = make

    def __getattr__(self, name: str) -> list[Any]:  # called for what is not there yet
        if name != "data":
            raise AttributeError(name)
        self.data = self._make()
        return self.data
