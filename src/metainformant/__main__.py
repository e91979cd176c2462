"""The `metainformant` command: `python -m metainformant` and the console script."""

from __future__ import annotations

import sys

_EXTRA = ("click", "rich")


def main() -> int:
    """Run the command line; return the exit status."""
    try:
        from metainformant.cli.app import main as run
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _EXTRA:
            raise
        sys.stderr.write(
            f"error: the command line needs {error.name!r}, which is not installed; "
            "run: pip install 'metainformant[cli]'\n"
        )
        return 2
    except KeyboardInterrupt:  # the imports take a moment
        sys.stderr.write("interrupted\n")
        return 130  # 128 + SIGINT, as shells have it
    return run()


if __name__ == "__main__":
    sys.exit(main())
