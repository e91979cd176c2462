"""Whether this interpreter runs one thread at a time."""

from __future__ import annotations

import sys

_check = getattr(sys, "_is_gil_enabled", None)  # new in Python 3.13

# As of the import. It may become true later, when a module is imported that needs it, but never
# false again; and what holds without the GIL holds with it too.
HAS_GIL: bool = _check is None or bool(_check())
