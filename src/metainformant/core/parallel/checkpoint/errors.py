"""What a checkpoint raises and warns of."""

from __future__ import annotations

from typing import Any

from ..errors import ParallelError
from ..public import public


@public
class CheckpointError(ParallelError):
    """A checkpoint can't be opened, read or written.

    A map whose checkpoint can't be written is stopped: results that are missing from the file would
    be missed only at the next resume.

    Attributes:
        path: the file.
        results: see `ParallelError`.
    """

    def __init__(self, message: str, path: str) -> None:
        super().__init__(message)
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.args[0], self.path), self.__dict__


@public
class CheckpointWarning(UserWarning):
    """A checkpoint has results that were recorded with other code of the function.

    Attributes:
        path: the file.
        name: the name of the run, which is that of the function.
        count: how many such results there are.
    """

    def __init__(self, message: str, path: str = "", name: str = "", count: int = 0) -> None:
        super().__init__(message)
        self.path = path
        self.name = name
        self.count = count


@public
class RecordedFailureError(ParallelError):
    """A failure of an earlier run whose exception could not be kept as an object.

    Attributes:
        kind: the qualified name of the exception's class.
        message: its text.
        traceback: its traceback, as text.
    """

    def __init__(self, kind: str, message: str, traceback: str) -> None:
        super().__init__(f"{kind}: {message}" if message else kind)
        self.kind = kind
        self.message = message
        self.traceback = traceback

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.kind, self.message, self.traceback), self.__dict__


@public
class RepeatedlyKilledError(ParallelError):
    """An item was in flight whenever the run was killed, so it was not started once more.

    Attributes:
        item: the item as text, shortened.
        kills: how many kills in a row it was in flight at.
    """

    def __init__(self, item: str, kills: int) -> None:
        super().__init__(
            f"item {item} was in flight at {kills} kills of this run in a row, so it was not "
            "started again. If something else was the cause (a time limit, say), mend that, "
            "call Checkpoint.reset_kills(), and run it again."
        )
        self.item = item
        self.kills = kills

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.item, self.kills), self.__dict__
