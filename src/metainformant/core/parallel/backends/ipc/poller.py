"""A poller: waits until one of many pipes has something to read, or its other end is gone."""

from __future__ import annotations

import select
import sys
from multiprocessing.connection import wait
from typing import Any


class _Handles:
    """A poller for Windows, where each wait says anew what it waits for."""

    def __init__(self) -> None:
        self._owners: dict[Any, Any] = {}

    def add(self, handle: Any, owner: Any) -> None:
        self._owners[handle] = owner

    def remove(self, handle: Any) -> None:
        self._owners.pop(handle, None)

    def wait(self, seconds: float) -> list[tuple[Any, Any]]:
        return [(handle, self._owners[handle]) for handle in wait(list(self._owners), seconds)]

    def add_writer(self, handle: Any, owner: Any) -> None:
        raise NotImplementedError  # here whoever writes waits, see `records.py`


class _Descriptors:
    """A poller for all other systems, which keeps between waits what it waits for."""

    def __init__(self) -> None:
        self._owners: dict[int, tuple[Any, Any]] = {}
        self._poll = select.poll()

    def add(self, handle: Any, owner: Any) -> None:
        descriptor = handle if isinstance(handle, int) else handle.fileno()
        self._owners[descriptor] = (handle, owner)
        self._poll.register(descriptor, select.POLLIN)  # and that the other end is gone

    def add_writer(self, handle: Any, owner: Any) -> None:
        """Add an end to write to: `wait` tells when it has room, or its other end is gone."""
        descriptor = handle.fileno()
        self._owners[descriptor] = (handle, owner)
        self._poll.register(descriptor, select.POLLOUT)

    def remove(self, handle: Any) -> None:
        descriptor = handle if isinstance(handle, int) else handle.fileno()
        if self._owners.pop(descriptor, None) is not None:
            self._poll.unregister(descriptor)

    def wait(self, seconds: float) -> list[tuple[Any, Any]]:
        # Rounded up: a wait that ends too early would be repeated until it is time.
        ready = self._poll.poll(-(-seconds * 1000 // 1))
        return [self._owners[descriptor] for descriptor, _ in ready]


# Tells what became readable among the handles that were added, and whose it is. Handles are
# connections, or what `multiprocessing` calls sentinels; remove them before they are closed.
Poller: type[_Handles] | type[_Descriptors] = _Handles if sys.platform == "win32" else _Descriptors
