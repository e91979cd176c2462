"""The task that this thread runs, if it is a worker."""

from __future__ import annotations

import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .current_task import CurrentTask

_here = threading.local()


def set_describe(describe: Callable[[], CurrentTask] | None) -> None:
    """Set what describes the task that this thread runs now; None if it runs none."""
    _here.describe = describe


def get_describe() -> Callable[[], CurrentTask] | None:
    """Return what describes the task that this thread runs; None if it runs none."""
    return getattr(_here, "describe", None)
