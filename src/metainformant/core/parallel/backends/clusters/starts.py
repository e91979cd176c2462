"""How often agents were asked for in vain, and when that is enough. Pure."""

from __future__ import annotations

# Failures in a row after which nothing else is to be expected.
MOST_FAILURES = 3


class Starts:
    """The agents that a map has asked for, as far as these could be made.

    Many fail at a time when a machine does, which tells no more than one of them. So only those
    count that were asked for after the last failure that did.
    """

    def __init__(self) -> None:
        self._failures = 0  # in a row

    def begin(self) -> int:
        """Learn that an agent is asked for; return what is to be passed if that fails."""
        return self._failures

    def succeeded(self) -> None:
        self._failures = 0

    def failed(self, begun: int) -> bool:
        """Learn of a failure; return whether there were too many in a row."""
        if begun == self._failures:
            self._failures += 1
        return self._failures >= MOST_FAILURES
