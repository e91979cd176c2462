"""The live page of a run: its server from the first look of the engine until the end."""

from __future__ import annotations

import logging

from .live_feed import LiveFeed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .live_server import LiveServer


class LivePage:
    """The live page of one run. Owned by the engine's thread.

    The server starts with the first data, so that a run that never starts leaves nothing behind.
    """

    def __init__(self, caller: str) -> None:
        self._caller = caller
        self._feed: LiveFeed | None = None  # until there are data
        self._server: LiveServer | None = None

    def wants_run(self) -> bool:
        """Return whether `show` should be called: at first, and while a browser waits."""
        return self._feed is None or self._feed.wants_run()

    def show(self, run: dict[str, Any]) -> None:
        """Show what is known of the run by now; nobody may change it afterwards."""
        if self._feed is None:
            self._feed = LiveFeed(run)
            self._start(self._feed)
        else:
            self._feed.put(run)

    def close(self, run: dict[str, Any]) -> None:
        """Show the last state of the run, and end the server and its connections."""
        if self._feed is not None:
            self._feed.put(run, is_last=True)
        if self._server is not None:
            self._server.close()

    def _start(self, feed: LiveFeed) -> None:
        from .live_server import LiveServer

        logger = logging.getLogger("metainformant.parallel")
        try:
            self._server = LiveServer(feed)
        except (OSError, RuntimeError) as error:  # no port or no thread: no reason to stop a map
            logger.error("%s: there is no live page: %s", self._caller, error)
            return
        address = self._server.address
        logger.info("%s: live page: %s", self._caller, address, extra={"live_page": address})
