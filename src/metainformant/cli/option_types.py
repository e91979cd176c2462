"""The values of options: numbers within bounds, and a share or a count of failures."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import Any

import click

MOST = 2**31 - 1  # more of anything is a slip of the keyboard
SECONDS = click.FloatRange(min=0, min_open=True)
COUNT = click.IntRange(min=1, max=MOST)


def finite(_context: click.Context, _option: click.Parameter, value: float | None) -> float | None:
    """Return the value of an option; it must not be infinite."""
    if value is not None and not math.isfinite(value):
        raise click.BadParameter("must be finite; leave the option out for no limit")
    return value


class FailureLimit(click.ParamType[float]):
    """A count, or a share as a percentage."""

    name = "N|N%"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        with suppress(ValueError):
            if not str(value).endswith("%"):
                if 0 <= (count := int(value)) <= MOST:
                    return count
            elif 0 < (share := float(value[:-1]) / 100) < 1:
                return share
        return self.fail(f"{value!r} must be a count, or a share between 0% and 100%", param, ctx)
