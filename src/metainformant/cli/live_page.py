"""The address of a live page, as the command tells it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress

import click

_LOGGER = "metainformant.parallel"


class _Printer(logging.Handler):
    """The handler that prints the address of a live page, and nothing else of the log."""

    def emit(self, record: logging.LogRecord) -> None:
        address = getattr(record, "live_page", None)
        if address is not None:
            with suppress(OSError):  # nobody reads it
                click.echo(f"live page: {address}", err=True)


def tell_live_page() -> Callable[[], None]:
    """Print the address of a live page once it is there; return what ends that."""
    logger, printer = logging.getLogger(_LOGGER), _Printer()
    level = logger.level
    logger.addHandler(printer)
    logger.setLevel(logging.INFO)

    def end() -> None:
        logger.setLevel(level)
        logger.removeHandler(printer)

    return end
