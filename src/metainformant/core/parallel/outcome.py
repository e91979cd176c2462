"""The outcome of one item."""

from __future__ import annotations

from typing import Generic, NamedTuple, TypeVar

from .public import public

T = TypeVar("T")
R = TypeVar("R")


@public
class Outcome(NamedTuple, Generic[T, R]):
    """The outcome of one item: a value or an error, never both.

    Attributes:
        index: position of the item in the input, counted from 0.
        item: the item itself.
        value: what the function returned; None if it failed.
        error: why it failed; None if it did not.
        attempts: how many attempts there were.
        started: when the last one was started, in seconds since the epoch, as `time.time()` has it;
            None if it was not.
        seconds: how long that attempt took; if it was abandoned, how long it had taken by then.
        worker: name of the worker that ran it.
        recorded: whether it comes from a checkpoint, and was not run this time.
        throttled: how many of the earlier attempts a service has refused.

    >>> Outcome(0, "ATG", 3, None).ok
    True
    """

    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody misses in a record
    item: T
    value: R
    error: BaseException | None
    attempts: int = 1
    started: float | None = None
    seconds: float | None = None
    worker: str = ""
    recorded: bool = False
    throttled: int = 0

    @property
    def ok(self) -> bool:
        """Whether the function returned a value."""
        return self.error is None

    def unwrap(self) -> R:
        """Return the value, or raise the error.

        >>> Outcome(0, "ATG", 3, None).unwrap()
        3
        """
        if self.error is not None:
            raise self.error
        return self.value
