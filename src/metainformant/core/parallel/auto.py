"""The bounds within which a map finds its number of workers."""

from __future__ import annotations

from .public import public
from .validate import whole


@public
class Auto:
    """A number of workers that a map finds out by itself; `max_workers="auto"` is `Auto()`.

    Args:
        start: how many there are at first.
        most: how many there may be at most.
        least: how many there are at least.

    Raises:
        TypeError, ValueError: for a wrong argument.

    >>> from metainformant.core import parallel
    >>> parallel.thread_map(len, ["ATG", "GATTACA"], max_workers=parallel.Auto(most=32))
    [3, 7]
    """

    __slots__ = ("least", "most", "start")

    def __init__(self, start: int | None = None, most: int = 256, least: int = 1) -> None:
        self.least: int = whole("Auto", "least", least)
        self.most: int = whole("Auto", "most", most, least=self.least)
        default = min(max(8, self.least), self.most)
        self.start: int = (
            default if start is None else whole("Auto", "start", start, least=self.least)
        )
        if self.start > self.most:
            raise ValueError(f"Auto: start={start!r} must not be above most={most!r}")

    def __repr__(self) -> str:
        return f"Auto(start={self.start}, most={self.most}, least={self.least})"
