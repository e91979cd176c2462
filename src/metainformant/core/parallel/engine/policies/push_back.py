"""What follows from the answers of services that say 'slow down'. Owned by the engine's thread."""

from __future__ import annotations

from ...throttling import pause_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...options import Options

# How often an item is tried again that was refused, if `retries` says nothing.
_TRIES = 5


class PushBack:
    """The refusals of one map: which exceptions they are, and what the engine has to do about it.

    A refusal is no failure of its item: the item is tried again, up to `retries` times or five, and
    neither counted as retried nor by `max_failures`.

    Attributes:
        count: how many attempts were refused.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self.count: int = 0
        self.tries: int = options.retries or _TRIES
        self._pause = 0.0
        self._newest: float | None = None

    def is_refusal(self, error: BaseException) -> bool:
        """Return whether an exception that may be a refusal is one.

        `Options.may_be_throttled` has decided everything else: what is left to ask is a function.
        """
        says_so = self._options.throttled
        return not callable(says_so) or bool(says_so(error))

    def refused(self, error: BaseException, started: float) -> float | None:
        """Learn of a refusal of a call that began at `started`; return the pause it asks for."""
        self.count += 1
        pause = pause_of(error)
        self._pause = max(self._pause, pause or 0.0)
        self._newest = max(self._newest or started, started)
        return pause

    def take(self) -> tuple[float, float] | None:
        """Return what was refused since this was asked last; None if nothing was.

        That is the longest pause asked for, in seconds, and when the newest of the refused calls
        began.
        """
        if self._newest is None:
            return None
        pause, newest = self._pause, self._newest
        self._pause, self._newest = 0.0, None
        return pause, newest
