"""What the maps that run here have to know of this process, and of the block they are called in."""

from __future__ import annotations

from contextvars import ContextVar

# Whether it is a worker of a map. Maps in a worker start no further processes or interpreters.
# Set once by the worker's main function, before it runs anything.
is_worker = False

# Whether maps run in the thread of their caller; set by `serial.py`.
is_serial: ContextVar[bool] = ContextVar("metainformant.parallel.is_serial", default=False)
