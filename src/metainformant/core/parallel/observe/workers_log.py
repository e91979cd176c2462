"""A log of the number of workers of a map that finds it out."""

from __future__ import annotations

import logging

from ..engine.events import Observer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..engine.policies.concurrency import WorkersChanged


class WorkersLog(Observer):
    """The observer that logs each change, with its reason, to "metainformant.parallel"."""

    def __init__(self, caller: str) -> None:
        self._caller = caller
        self._logger = logging.getLogger("metainformant.parallel")

    def on_workers_changed(self, change: WorkersChanged) -> None:
        self._logger.info(
            "%s: %d workers instead of %d: %s",
            self._caller,
            change.after,
            change.before,
            change.why,
        )
