"""The number of workers as people write it: a count, relative to the processors, or auto."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any, Literal

import click

from metainformant.core import parallel


class WorkerCount(click.ParamType[int | Literal["auto"]]):
    """A count; `50%` of the processors; `+2`, so many more than processors; or `auto`."""

    name = "N|N%|+N|auto"

    def __init__(self, most: int) -> None:
        self._most = most

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | Literal["auto"]:
        if value == "auto":
            return "auto"
        found = re.fullmatch(r"(\+?)(\d{1,10})(%?)", str(value).strip())
        if found and not (found[1] and found[3]):
            with suppress(ValueError):
                number = int(found[2])
                if found[3] and number:
                    return max(1, parallel.cpu_count() * number // 100)
                count = parallel.cpu_count() + number if found[1] else number
                if 1 <= count <= self._most:
                    return count
        return self.fail(
            f"{value!r} must be a count from 1 on, a share of the {parallel.cpu_count()} "
            "processors such as 50%, +N for N more than those, or auto",
            param,
            ctx,
        )
