"""The role of this process or interpreter for the maps that run in it."""

from __future__ import annotations

# Whether it is a worker of a map. Maps in a worker start no further processes or interpreters.
# Set once by the worker's main function, before it runs anything.
is_worker = False
