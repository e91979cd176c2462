"""Functions of the standard library behind the patches of gevent."""

from __future__ import annotations

import importlib
import sys
from typing import Any


def unpatched(module: str, name: str) -> Any:
    """Return what a module of the standard library had before gevent has patched it."""
    gevent: Any = sys.modules.get("gevent.monkey")
    if gevent is not None:
        return gevent.get_original(module, name)
    return getattr(importlib.import_module(module), name)


def is_patched_by_gevent() -> bool:
    """Return whether threads are greenlets of gevent."""
    gevent: Any = sys.modules.get("gevent.monkey")
    return gevent is not None and bool(gevent.is_module_patched("threading"))


def is_patched_by_eventlet() -> bool:
    """Return whether threads, or waiting for descriptors, are eventlet's."""
    eventlet: Any = sys.modules.get("eventlet.patcher")
    return eventlet is not None and any(
        eventlet.is_monkey_patched(module) for module in ("select", "socket", "thread")
    )
