"""The ending of a run."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    from .policies.stopping import Stop, Unfinished
    from .source import Chunk

    Kind = Literal["completed", "failed", "stopped", "aborted"]


class Ending:
    """The ending of a run, which the engine returns; the runner alone turns it into an exception.

    Attributes:
        kind: "completed", every item has its outcome; "failed", by `error`; "stopped", as a whole,
            by `stop`; "aborted", nobody wanted more.
        error: the failure of a task that ends the map, or of workers that could not clean up.
        chunk, index: the chunk and the item whose failure that is; None for workers.
        stop: why the run was stopped before its end.
        unfinished: the first item that was not finished then; None if all were.
    """

    __slots__ = ("chunk", "error", "index", "kind", "stop", "unfinished")

    def __init__(
        self,
        kind: Kind,
        *,
        error: BaseException | None = None,
        chunk: Chunk | None = None,
        index: int = -1,
        stop: Stop | None = None,
        unfinished: Unfinished | None = None,
    ) -> None:
        self.kind = kind
        self.error = error
        self.chunk = chunk
        self.index: int = index
        self.stop: Stop | None = stop
        self.unfinished: Unfinished | None = unfinished

    def take_error(self) -> BaseException | None:
        """Return the error and forget it: its traceback is going to lead to whoever raises it."""
        error, self.error, self.chunk = self.error, None, None
        return error
