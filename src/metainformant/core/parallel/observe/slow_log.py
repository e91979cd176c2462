"""A log of slow items, with their stacks."""

from __future__ import annotations

import logging

from ..describe import describe
from ..engine.events import Observer, SlowItem
from ..errors import format_stack


class SlowLog(Observer):
    """The observer that logs each slow item once, with its stack, to "metainformant.parallel"."""

    def __init__(self, caller: str) -> None:
        self._caller = caller
        self._logger = logging.getLogger("metainformant.parallel")
        if not self._logger.handlers:  # else Python itself would print to stderr, unasked
            self._logger.addHandler(logging.NullHandler())

    def on_slow_item(self, slow: SlowItem) -> None:
        self._logger.warning(
            "%s: item %d (%s) has been running for %.3g s on %r:\n%s",
            self._caller,
            slow.index,
            describe(slow.item),
            slow.seconds,
            slow.worker,
            format_stack(slow.stack),
        )
