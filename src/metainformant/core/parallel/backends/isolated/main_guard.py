"""The hint for users whose script starts its maps while a worker imports it."""

from __future__ import annotations

MAIN_GUARD = (
    "Start the work of a script below `if __name__ == '__main__':`, since each worker imports the "
    "script"
)
