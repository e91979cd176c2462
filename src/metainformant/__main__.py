"""The `metainformant` command: `python -m metainformant` and the console script."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_EXTRA = ("click", "rich")


def main() -> int:
    """Run the command line; return the exit status."""
    try:
        run = _import_command()
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _EXTRA:
            raise
        sys.stderr.write(
            f"error: the command line needs {error.name!r}, which is not installed; "
            "run: pip install 'metainformant[cli]'\n"
        )
        return 2
    except KeyboardInterrupt:  # raised by what is imported, or where the signal was not ours
        sys.stderr.write("interrupted\n")
        return 130  # 128 + SIGINT, as shells have it
    return run()


def _import_command() -> Callable[[], int]:
    """Return the main function. While it is imported, Ctrl-C ends the process at once.

    As an exception it might come up in a callback of the import system, which would print it and
    go on, and nobody would hear of it.
    """
    # What `signal` is made of, which itself takes longer to import than all that came before.
    import _signal as signal  # type: ignore[import-not-found]

    handler = signal.getsignal(signal.SIGINT)
    is_usual = handler is signal.default_int_handler
    if is_usual:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        from metainformant.cli.app import main
    finally:
        if is_usual:
            signal.signal(signal.SIGINT, handler)
    return main


if __name__ == "__main__":
    sys.exit(main())
