"""The hint for users whose script starts its maps while a worker imports it."""

from __future__ import annotations

from ...errors import ParallelError

MAIN_GUARD = (
    "Start the work of a script below `if __name__ == '__main__':`, since each worker imports the "
    "script"
)


def unguarded(label: str) -> ParallelError:
    """Make the error of a map that a worker starts again when it imports the script."""
    return ParallelError(
        f"{label}: the script starts its map while a worker imports it. {MAIN_GUARD}."
    )
